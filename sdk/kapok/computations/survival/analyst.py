"""The analyst's half: counts by interval, event and group → curves, medians and the log-rank test."""

from __future__ import annotations

from collections.abc import Iterator

from kapok.computations.chi2 import chi2_tail
from kapok.computations.design.report import LEVEL
from kapok.computations.query.analyst import Answer
from kapok.computations.reports import Report, Reported, reported
from kapok.computations.survival.curves import Group, Point, log_rank, median, points
from kapok.computations.survival.params import Survival

__all__ = ["CurveReport", "LogRank", "answer"]


class LogRank(Report, frozen=True, kw_only=True):
    """Whether groups differ.

    Attributes:
        expected: Events that each group would have if none differed, in order of the groups.
        statistic: χ².
        degrees: Its degrees of freedom.
        p_value: The probability of as much by chance.
    """

    expected: tuple[float, ...]
    statistic: float
    degrees: int
    p_value: float


class CurveReport(Report, frozen=True, kw_only=True):
    """What is said beside the curves.

    Attributes:
        status: ``complete``; ``no_events``; ``suppressed``: some group, or the times after `until`.
        group: What is grouped by; empty without.
        names: Of the groups.
        rows: Of each group; -1 where that is suppressed.
        events: Of each group, as far as its curve goes.
        medians: Of each group; None where more than half survive.
        until: To which time each group's curve is known; None where it is not at all.
        log_rank: Over the times that are known of all groups; None without groups or events.
        log_rank_until: The last of these times.
    """

    group: str = ""
    names: tuple[str, ...] = ()
    rows: tuple[int, ...] = ()
    events: tuple[int, ...] = ()
    medians: tuple[float | None, ...] = ()
    until: tuple[float | None, ...] = ()
    log_rank: LogRank | None = None
    log_rank_until: float | None = None


def answer(asked: Survival, counts: Answer) -> Reported:
    """Make curves of the answer to the SELECT."""
    times = asked.statement.grid.values
    groups = list(_groups(asked, counts, len(times)))
    curves = [points(group, times, LEVEL) for group in groups]
    whole = all(group.rows is not None and len(group.leaving) == len(times) for group in groups)
    events = tuple(sum(group.events) for group in groups)
    hidden = () if whole else tuple(group.name for group in groups if len(group.leaving) < len(times))
    status = "suppressed" if not whole else "complete" if any(events) else "no_events"
    until = min((len(group.leaving) for group in groups), default=0)
    test = _test(asked.text, groups, until)
    report = CurveReport(
        text=asked.text,
        status=status,
        reasons=hidden,
        group="" if asked.statement.group is None else asked.question.items[2].name,
        names=tuple(group.name for group in groups),
        rows=tuple(-1 if group.rows is None else group.rows for group in groups),
        events=events,
        medians=tuple(map(median, curves)),
        until=tuple(times[len(group.leaving) - 1] if group.leaving else None for group in groups),
        log_rank=test,
        log_rank_until=times[until - 1] if test is not None else None,
    )
    lines = [(group.name, point) for group, curve in zip(groups, curves, strict=True) for point in curve]
    return reported(report, _columns(lines))


def _columns(lines: list[tuple[str, Point]]) -> dict[str, tuple[str, list[str] | list[int] | list[float]]]:
    return {
        "group": ("string", [name for name, _ in lines]),
        "time": ("double", [point.time for _, point in lines]),
        "at_risk": ("int64", [point.at_risk for _, point in lines]),
        "events": ("int64", [point.events for _, point in lines]),
        "censored": ("int64", [point.censored for _, point in lines]),
        "survival": ("double", [point.survival for _, point in lines]),
        "std_error": ("double", [point.std_error for _, point in lines]),
        "ci_low": ("double", [point.low for _, point in lines]),
        "ci_high": ("double", [point.high for _, point in lines]),
    }


def _test(text: str, groups: list[Group], until: int) -> LogRank | None:
    if not until:
        return None
    expected, statistic, degrees = log_rank(groups, until)
    if statistic is None:
        return None
    return LogRank(
        text=text,
        status="complete",
        expected=tuple(expected),
        statistic=statistic,
        degrees=degrees,
        p_value=chi2_tail(statistic, degrees),
    )


def _groups(asked: Survival, counts: Answer, many: int) -> Iterator[Group]:
    """Each group of which something is known, as far as it is."""
    has_group = asked.statement.group is not None
    hidden = {row for row, _ in counts.suppressed}
    totals: dict[object, int | None] = {}
    leaving: dict[tuple[object, object], int | None] = {}
    events: dict[tuple[object, object], int | None] = {}
    for number, row in enumerate(counts.rows):
        interval, event = row[0], row[1]
        group: object = row[2] if has_group else ""
        without_interval, without_event, count = row[-3:]
        known = None if number in hidden else int(str(count))
        if has_group and group is None:
            continue
        if without_interval:
            totals[group] = known
        elif without_event:
            leaving[group, interval] = known
        elif event:
            events[group, interval] = known
    for named, rows in totals.items():
        left, happened = [], []
        for place in range(many if rows is not None else 0):
            gone = leaving.get((named, place), 0)
            died = events.get((named, place), 0) if gone else 0
            if gone is None or died is None:
                break
            left.append(gone)
            happened.append(died)
        yield Group(str(named) if has_group else "all", rows, tuple(left), tuple(happened))
