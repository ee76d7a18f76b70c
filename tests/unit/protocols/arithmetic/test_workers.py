from __future__ import annotations

import threading

import pytest
import threadpoolctl

from kapok.protocols.arithmetic import Ring, available_cores, from_integers, multiply, to_integers
from kapok.protocols.arithmetic.workers import run


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


def test_there_is_a_core():
    assert available_cores() >= 1
