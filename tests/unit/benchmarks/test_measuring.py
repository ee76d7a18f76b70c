import types
from dataclasses import replace

import pytest

from benchmarks import measuring
from benchmarks.errors import BenchmarkError, WrongResult
from benchmarks.measuring import Budget, Contender, measure, time_runs


class Clock:
    """Wall time that runs at a tenth of CPU time's pace, moved by the contenders themselves."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now / 10

    def process_time(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    fake = types.SimpleNamespace(perf_counter=clock.perf_counter, process_time=clock.process_time)
    monkeypatch.setattr(measuring, "time", fake)
    return clock


def contender(clock, name, cost, log=None, units=1.0, right=lambda given, made: True):
    def prepare():
        clock.now += 1000.0
        return len(log) if log is not None else None

    def run(given):
        clock.now += cost
        if log is not None:
            log.append((name, given))
        return given

    return Contender(name=name, role="kapok", units=units, prepare=prepare, run=run, check=right)


def test_contenders_take_turns_with_fresh_operands(clock):
    log = []
    time_runs([contender(clock, "a", 1, log), contender(clock, "b", 2, log)], Budget(0, least=3))
    assert [name for name, _ in log] == ["a", "b"] * 3
    assert [given for _, given in log] == list(range(6))


def test_preparing_is_not_timed(clock):
    runs = time_runs([contender(clock, "a", 5)], Budget(0, least=2))
    assert [(run.wall_s, run.cpu_s) for run in runs["a"]] == [(0.5, 5.0)] * 2


def test_rounds_go_on_until_the_time_is_over(clock):
    # A round takes 100 s of wall time with its preparation.
    runs = time_runs([contender(clock, "a", 0)], Budget(950, least=2))
    assert len(runs["a"]) == 10


def test_rounds_are_bounded(clock):
    assert len(time_runs([contender(clock, "a", 0)], Budget(1e9, most=7))["a"]) == 7


def test_rates_and_ratios(clock):
    ours, theirs = contender(clock, "ours", 2, units=100), contender(clock, "theirs", 10, units=5)
    figure = measure(
        key="x/y",
        title="t",
        unit="u",
        contenders=[ours, theirs],
        budget=Budget(0, least=3),
        baseline="theirs",
    )
    entry = figure.entry("ours")
    assert entry.rate_cpu.median == pytest.approx(50)
    assert entry.rate_wall.median == pytest.approx(500)
    assert entry.ratio_cpu.median == pytest.approx(100)
    assert figure.entry("theirs").ratio_wall.median == pytest.approx(1)


def test_without_its_baseline_a_figure_has_no_ratios(clock):
    one = contender(clock, "ours", 1)
    figure = measure(key="x/y", title="t", unit="u", contenders=[one], budget=Budget(0), baseline="absent")
    assert (figure.baseline, figure.entries[0].ratio_cpu) == (None, None)


def measured(*contenders):
    return measure(key="x/y", title="t", unit="u", contenders=contenders, budget=Budget(0, least=1))


def test_a_wrong_result_stops_everything_before_it_is_timed(clock):
    log = []
    bad = contender(clock, "bad", 1, log, right=lambda given, made: False)
    with pytest.raises(WrongResult, match="bad"):
        measured(bad)
    assert len(log) == 1


def test_a_result_that_goes_wrong_later_is_seen_too(clock):
    turns = iter([True, False])
    bad = contender(clock, "bad", 1, right=lambda given, made: next(turns))
    with pytest.raises(WrongResult, match="bad"):
        measured(bad)


def failing(clock, role):
    def run(given):
        raise RuntimeError("no such instruction")

    return replace(contender(clock, "broken", 1), run=run, role=role)


def test_a_peer_that_does_not_run_here_is_left_out_with_the_reason(clock):
    figure = measured(contender(clock, "ours", 1), failing(clock, "peer"))
    assert [entry.name for entry in figure.entries] == ["ours"]
    assert figure.absent == {"broken": "not measured: it failed with RuntimeError: no such instruction"}


def test_kapok_itself_must_run(clock):
    with pytest.raises(BenchmarkError, match="broken failed: RuntimeError: no such instruction"):
        measured(failing(clock, "kapok"))
