import sys

import pytest

from benchmarks import memory
from benchmarks.errors import BenchmarkError, WrongResult
from benchmarks.measuring import Budget, time_runs
from benchmarks.rounds import WholeRound


@pytest.mark.parametrize("seal", ["pad", "paillier"])
def test_all_roles_of_a_round_are_right(seal, benchmark_key):
    whole = WholeRound(3, 5, None if seal == "pad" else benchmark_key.private)
    roles = [whole.node("node"), whole.broker("broker"), whole.analyst("analyst")]
    runs = time_runs(roles, Budget(0, least=2))
    assert {name: len(found) for name, found in runs.items()} == {"node": 2, "broker": 2, "analyst": 2}


def test_a_sum_that_is_not_that_of_the_integers_is_seen():
    whole = WholeRound(3, 5, None)
    analyst = whole.analyst("analyst")
    done = analyst.prepare()
    done.total[2] += 1
    with pytest.raises(WrongResult, match="analyst"):
        time_runs([analyst], Budget(0, least=1))


def test_a_broker_counts_the_values_of_all_parties():
    whole = WholeRound(4, 5, None)
    assert whole.broker("b").units == 20
    assert whole.broker("b", per_party=False).units == 5


def test_roles_in_processes_of_their_own_make_the_right_sum():
    peaks = memory.peaks_of_a_sum(1000, 3, None)
    assert len(peaks["node"]) == 3
    # No process of Python with NumPy is smaller, none of these needs more for 1,000 values.
    assert all(20e6 < peak < 500e6 for peak in [*peaks["node"], *peaks["broker"]])


def test_a_process_that_fails_is_an_error(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(BenchmarkError, match="the node's process ended"):
        memory.peaks_of_a_sum(10, 3, None)


def test_the_peak_grows_with_what_is_held():
    before = memory.peak_bytes()
    held = bytearray(b"x") * (before + 50_000_000)
    assert memory.peak_bytes() >= len(held)
