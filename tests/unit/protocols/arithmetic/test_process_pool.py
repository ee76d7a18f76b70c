"""Whoever does a chunk, the result is the same; who is gone is done without; no worker outlives us."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from kapok.protocols.arithmetic import Comb, FixedBase, Ring, from_integers, power, process_pool, to_integers

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="workers need Linux")

COUNT = 2000
COMB = Comb.of(256, 8, 4)


@pytest.fixture
def workers(monkeypatch):
    """Three cores, and workers who come for any work, and end with the test."""
    monkeypatch.setattr(process_pool, "available_cores", lambda: 3)
    monkeypatch.setattr("kapok.protocols.arithmetic.chunks.available_cores", lambda: 3)
    monkeypatch.setattr(process_pool, "_START_FOR_S", 0.0)
    monkeypatch.setattr(process_pool._pool, "starts", True)
    process_pool._pool.end_idle()
    yield process_pool._pool
    process_pool._pool.end_idle()


@pytest.fixture
def served(monkeypatch):
    """What workers did: the chunks that came back from them."""
    chunks = []
    do = process_pool._WorkerProcess.do

    def noted(self, shared, chunk):
        do(self, shared, chunk)
        chunks.append(chunk)

    monkeypatch.setattr(process_pool._WorkerProcess, "do", noted)
    return chunks


def processes(of):
    return [worker._process for worker in of.idle]


def table_of(ring):
    return FixedBase(ring, from_integers(ring, [5])[0], COMB)


def random_exponents(count):
    return np.frombuffer(bytearray(secrets.token_bytes(count * 32)), dtype=np.uint8).reshape(count, 32)


def integers(exponents):
    return [int.from_bytes(bytes(row), "little") for row in exponents]


def test_powers_of_a_table_are_right_whoever_makes_them(ring_of, numbers_of, workers, served):
    ring = ring_of(512, 1)
    order, table, exponents = ring.modulus**2, table_of(ring), random_exponents(COUNT)
    expected = [pow(5, exponent, order) for exponent in integers(exponents)]
    assert to_integers(ring, table.powers(exponents)) == expected
    factors = numbers_of(ring, COUNT)
    times = table.powers_times(exponents, from_integers(ring, factors))
    assert to_integers(ring, times) == [a * b % order for a, b in zip(expected, factors, strict=True)]
    assert served
    assert len(workers.idle) == 2


def test_one_exponent_for_all_is_right_and_forgotten(ring_of, numbers_of, workers, served):
    ring = ring_of(512, 2)
    numbers, exponent = numbers_of(ring, COUNT), secrets.randbits(300)
    raised = power(ring, from_integers(ring, numbers), exponent)
    assert to_integers(ring, raised) == [pow(number, exponent, ring.modulus**3) for number in numbers]
    assert served
    assert [worker._told for worker in workers.idle] == [None, None]


def test_work_on_other_rings_and_tables_follows_in_any_order(ring_of, numbers_of, workers):
    for bits, degree in ((512, 1), (640, 0), (512, 1)):
        ring = ring_of(bits, degree)
        table, exponents = table_of(ring), random_exponents(COUNT)
        order = ring.modulus**ring.parts
        assert to_integers(ring, table.powers(exponents)) == [pow(5, e, order) for e in integers(exponents)]
        numbers = numbers_of(ring, COUNT)
        raised = power(ring, from_integers(ring, numbers), 3)
        assert to_integers(ring, raised) == [pow(number, 3, order) for number in numbers]


def test_a_worker_that_is_killed_costs_its_chunk_only(ring_of, workers, monkeypatch):
    ring, exponents = ring_of(512, 1), random_exponents(COUNT)
    table = table_of(ring)
    expected = to_integers(ring, table.powers(exponents))
    first, second = processes(workers)
    do, struck = process_pool._WorkerProcess.do, []

    def struck_down(self, shared, chunk):
        if self._process is first and not struck:
            struck.append(chunk)
            os.kill(first.pid, signal.SIGKILL)
        do(self, shared, chunk)

    monkeypatch.setattr(process_pool._WorkerProcess, "do", struck_down)
    assert to_integers(ring, table.powers(exponents)) == expected
    assert struck
    assert first.returncode == -signal.SIGKILL
    assert processes(workers) == [second]


def test_a_worker_that_hangs_costs_its_chunk_only(ring_of, workers, monkeypatch):
    ring, exponents = ring_of(512, 1), random_exponents(COUNT)
    table = table_of(ring)
    expected = to_integers(ring, table.powers(exponents))
    first, second = processes(workers)
    hangs = next(one for one in process_pool._pool.idle if one._process is first)
    assert hangs._channel.gettimeout() == process_pool._SILENCE_S
    hangs._channel.settimeout(0.5)
    os.kill(first.pid, signal.SIGSTOP)
    assert to_integers(ring, table.powers(exponents)) == expected
    assert first.returncode == -signal.SIGKILL
    assert processes(workers) == [second]


@pytest.mark.parametrize("error", [MemoryError, ValueError])
def test_a_chunk_that_cannot_be_taken_back_is_done_here(ring_of, workers, monkeypatch, error):
    ring, exponents = ring_of(512, 1), random_exponents(COUNT)
    table = table_of(ring)
    expected = to_integers(ring, table.powers(exponents))
    asked = []

    def fails(self, shared, chunk):
        asked.append(chunk)
        raise error

    monkeypatch.setattr(process_pool._WorkerProcess, "do", fails)
    assert to_integers(ring, table.powers(exponents)) == expected
    assert asked
    assert (workers.idle, workers.busy) == ([], 0)


def test_one_that_never_comes_is_done_without(ring_of, workers, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    ring, exponents = ring_of(512, 1), random_exponents(COUNT)
    powers = table_of(ring).powers(exponents)
    assert to_integers(ring, powers) == [pow(5, e, ring.modulus**2) for e in integers(exponents)]
    assert workers.idle == []
    monkeypatch.setattr(sys, "executable", str(tmp_path / "missing"))
    assert np.array_equal(table_of(ring).powers(exponents), powers)
    assert not workers.starts


def test_short_work_calls_nobody(ring_of, workers, served, monkeypatch):
    monkeypatch.setattr(process_pool, "_START_FOR_S", 60.0)
    table_of(ring_of(512, 1)).powers(random_exponents(COUNT))
    assert (served, workers.idle) == ([], [])


def test_an_error_in_the_callers_part_leaves_workers_idle(ring_of, workers, monkeypatch):
    ring = ring_of(512, 1)
    table, exponents = table_of(ring), random_exponents(COUNT)
    expected = table.powers(exponents)

    def fails(*_):
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(FixedBase, "_power_block", fails)
        with pytest.raises(MemoryError):
            table.powers(exponents)
    assert (len(workers.idle), workers.busy) == (2, 0)
    assert np.array_equal(table.powers(exponents), expected)


def test_they_end_when_idle_and_with_their_caller(ring_of, workers, monkeypatch):
    monkeypatch.setattr(process_pool, "_IDLE_S", 0.05)
    table_of(ring_of(512, 1)).powers(random_exponents(COUNT))
    deadline = time.monotonic() + 30
    while workers.idle and time.monotonic() < deadline:
        time.sleep(0.05)
    assert workers.idle == []


_CALLER = """
import numpy as np, os, signal
from kapok.protocols.arithmetic import Comb, FixedBase, Ring, chunks, from_integers, process_pool
process_pool._START_FOR_S, process_pool.available_cores = 0.0, lambda: 2
chunks.available_cores = lambda: 2
ring = Ring(int(input()), 1)
table = FixedBase(ring, from_integers(ring, [5])[0], Comb.of(256, 8, 4))
table.powers(np.zeros((2000, 32), dtype=np.uint8))
print(*(worker._process.pid for worker in process_pool._pool.idle), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_none_outlives_a_caller_that_is_killed(ring_of):
    modulus = f"{ring_of(512, 1).modulus}\n"
    ended = subprocess.run(
        [sys.executable, "-c", _CALLER],
        input=modulus,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == -signal.SIGKILL
    (pid,) = map(int, ended.stdout.split())
    deadline = time.monotonic() + 30
    while _runs(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(pid)


def _runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_forked_process_has_none_and_leaves_its_parents_alone(ring_of, workers):
    ring, exponents = ring_of(512, 1), random_exponents(COUNT)
    table = table_of(ring)
    expected = table.powers(exponents)
    child = os.fork()
    if not child:
        same = not workers.idle and np.array_equal(table.powers(exponents), expected)
        os._exit(0 if same and not workers.idle else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert np.array_equal(table.powers(exponents), expected)
    assert all(process.poll() is None for process in processes(workers))


def test_secrets_are_not_on_a_command_line_nor_printed(ring_of, workers):
    ring = Ring(ring_of(512, 1).modulus, 0)
    work = process_pool.PowerWork(process_pool.as_bytes(ring.modulus), 0, process_pool.as_bytes(12345))
    assert repr(work) == "<PowerWork>"
    power(ring, from_integers(ring, range(COUNT)), 12345)
    for process in processes(workers):
        arguments = Path(f"/proc/{process.pid}/cmdline").read_text().split("\0")
        assert arguments[1:3] == ["-m", "kapok.protocols.arithmetic.worker_process"]
        assert len(arguments) == 5
