from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
import threadpoolctl

from kapok.protocols.arithmetic import (
    Comb,
    Factors,
    FixedBase,
    Product,
    Ring,
    available_cores,
    from_integers,
    multiply,
    one_plus_n_power,
    power,
    power_each,
    product,
    product_of_all,
    times_one_plus_n_power,
    to_integers,
)
from kapok.protocols.arithmetic.chunks import run


def blas_threads():
    return [pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]


@pytest.mark.parametrize("blocks", [1, 3, 20])
def test_every_element_is_worked_on_once(ring_of, blocks):
    ring = ring_of(512, 0)
    count = blocks * ring.columns - 3
    seen = []
    run(ring, count, lambda lane, chunk: seen.append(range(count)[chunk]))
    assert sorted(place for chunk in seen for place in chunk) == list(range(count))


def test_no_elements_are_no_work(ring_of):
    ring = ring_of(512, 1)
    run(ring, 0, lambda lane, chunk: pytest.fail("there is nothing to do"))
    empty = from_integers(ring, [])
    assert multiply(ring, empty, empty).shape == (0, 2, ring.width)


def test_blas_has_one_thread_while_work_is_done_and_its_own_number_afterwards(ring_of):
    ring = ring_of(512, 1)
    before, inside = blas_threads(), []
    run(ring, 2 * ring.columns, lambda lane, chunk: inside.append(blas_threads()))
    assert inside
    assert all(numbers == [1] * len(before) for numbers in inside)
    assert blas_threads() == before


def test_an_error_of_a_worker_reaches_the_caller_and_leaves_the_ring_usable(ring_of, numbers_of):
    ring = ring_of(512, 1)

    def work(lane, chunk):
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        run(ring, 5 * ring.columns, work)
    digits = from_integers(ring, numbers_of(ring, 9))
    assert to_integers(ring, multiply(ring, digits, digits[1])) == numbers_of(ring, 9)


def test_several_callers_at_once_do_not_disturb_each_other(ring_of, numbers_of):
    ring = ring_of(512, 1)
    order = ring.modulus**2
    wrong = []

    def call(seed):
        numbers = numbers_of(ring, 300, seed)
        digits = from_integers(ring, numbers)
        for _ in range(5):
            if to_integers(ring, multiply(ring, digits, digits)) != [n * n % order for n in numbers]:
                wrong.append(seed)

    callers = [threading.Thread(target=call, args=(str(place),)) for place in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert wrong == []


def test_lanes_are_used_again(ring_of):
    ring = Ring(ring_of(512, 2).modulus, 2)
    for count in (5, 2 * ring.columns, 90 * ring.columns):
        run(ring, count, lambda lane, chunk: None)
    assert {columns: len(lanes) for columns, lanes in ring.idle_lanes.items()} == {8: 1, ring.columns: 1}


def test_blocks_are_as_wide_as_the_numbers_need(ring_of):
    ring = ring_of(2048, 1)
    for count in range(33, 4 * ring.columns):
        columns = ring.block_columns(count)
        blocks = -(-count // columns)
        assert columns <= 5 * ring.columns // 4
        assert -(-count // ring.columns) - 1 <= blocks <= -(-count // ring.columns)
        assert blocks * columns - count < 8 * blocks


def test_lanes_of_few_widths_are_kept(ring_of):
    ring = ring_of(2048, 1)
    for count in (8, 32, 48, 64, 80, 96, 8):
        run(ring, count, lambda lane, chunk: None)
    assert list(ring.idle_lanes) == [64, 80, 96, 8]


def test_no_more_lanes_are_kept_than_there_are_cores(ring_of):
    ring = Ring(ring_of(512, 0).modulus, 0)
    everybody = threading.Barrier(available_cores() + 2, timeout=60)
    callers = [
        threading.Thread(target=run, args=(ring, ring.columns, lambda lane, chunk: everybody.wait()))
        for _ in range(everybody.parties)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert [len(lanes) for lanes in ring.idle_lanes.values()] == [available_cores()]


def peak_beside(work: Callable[[], object]) -> int:
    """Most bytes at a time that some work takes, beside what it returns."""
    tracemalloc.start()
    try:
        kept = work()
        returned, peak = tracemalloc.get_traced_memory()
        del kept
        return peak - returned
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("degree", "name"),
    [
        (1, "multiply"),
        (1, "product"),
        (1, "one for all"),
        (1, "running product"),
        (1, "product of all"),
        (1, "power"),
        (1, "power each"),
        (1, "fixed base"),
        (1, "factors"),
        (2, "factors"),
        (2, "1 + N"),
    ],
)
def test_memory_beside_the_result_does_not_grow_with_the_batch(ring_of, degree, name):
    """What is worked in is a few chunks, whatever comes."""
    ring = ring_of(512, degree)
    one = from_integers(ring, [3])[0]
    fixed = FixedBase(ring, one, Comb.of(8, 4, 2))

    def beside(count: int) -> int:
        digits = np.ascontiguousarray(np.broadcast_to(one, (count, *one.shape)))
        plaintexts = np.ascontiguousarray(digits[:, 1:])
        exponents = np.full((count, 1), 5, dtype=np.uint8)
        running, factors = Product(ring, count), Factors.of(ring, digits)
        works = {
            "multiply": lambda: multiply(ring, digits, digits),
            "product": lambda: product(ring, [digits] * 3),
            "one for all": lambda: multiply(ring, digits, one),
            "running product": lambda: running.multiply(digits, 0),
            "product of all": lambda: product_of_all(ring, digits),
            "power": lambda: power(ring, digits, 5),
            "power each": lambda: power_each(ring, digits, exponents),
            "fixed base": lambda: fixed.powers_times(exponents, digits),
            "factors": lambda: times_one_plus_n_power(ring, factors, plaintexts),
            "1 + N": lambda: one_plus_n_power(ring, plaintexts),
        }
        return peak_beside(works[name])

    few, many = 16 * ring.columns, 48 * ring.columns
    beside(few)  # What a ring keeps is made once.
    grown = (beside(many) - beside(few)) / (many - few)
    # Bytes an element, of which the checks of its digits take a few; it has 128 or 192 itself.
    assert grown < 32


def test_there_is_a_core():
    assert available_cores() >= 1
