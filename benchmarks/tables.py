"""A report as tables: the same rows for the terminal and for Markdown.

With one thread, rates and ratios are those of CPU time, which other programs on the machine disturb least;
with more, those of wall time, the only one in which parallel work shows. JSON has both for each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from rich.console import Console
from rich.table import Table

from benchmarks.records import Aim, Entry, Fact, Figure, Profile, Report
from benchmarks.spread import Spread

__all__ = ["Sheet", "rate", "show", "sheets", "to_markdown"]

_FIGURE_COLUMNS: Final = ("", "rate", "quartiles", "time of one", "ratio", "quartiles", "aim")
_SECTION: Final = 1


@dataclass(slots=True)
class Sheet:
    """A table.

    Attributes:
        title: Above it.
        columns: Their heads.
        rows: A row of one cell heads the rows after it.
        caption: Below it.
        numbers: Whether all columns but the first hold numbers.
    """

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    caption: str = ""
    numbers: bool = True


def sheets(report: Report) -> Iterator[Sheet]:
    """All tables of a report."""
    yield _machine_sheet(report)
    for suite in dict.fromkeys(figure.key.split("/")[0] for figure in report.figures):
        yield _figures_sheet(suite, [one for one in report.figures if one.key.startswith(f"{suite}/")])
    if report.facts:
        yield _facts_sheet(report.facts)
    for profile in report.profiles:
        yield _profile_sheet(profile)
    if report.quoted:
        quoted = Sheet("Quoted, not measured here", ("who", "what", "figure", "source"), numbers=False)
        quoted.rows = [(one.name, one.what, one.figure, one.source) for one in report.quoted]
        yield quoted


def show(report: Report, console: Console) -> None:
    """Print all tables, each section as a table of its own."""
    for sheet in sheets(report):
        console.print(f"\n[bold]{sheet.title}[/bold]")
        for heading, rows in _sections(sheet):
            table = Table(title=heading, title_justify="left", title_style="", show_header=any(sheet.columns))
            for index, column in enumerate(sheet.columns):
                justify: Literal["left", "right"] = "right" if index and sheet.numbers else "left"
                table.add_column(column, justify=justify, overflow="fold")
            for row in rows:
                table.add_row(*row)
            console.print(table)
        if sheet.caption:
            console.print(sheet.caption)


def to_markdown(report: Report) -> str:
    """All tables as Markdown, with the command above them."""
    parts = [
        "# Benchmark results",
        f"```sh\n{report.command}\n```",
        f"From {report.started} on, {report.seconds:.0f} s of measuring.",
    ]
    for sheet in sheets(report):
        lines = [f"## {sheet.title}", "", _line(sheet.columns), _line(["---"] * len(sheet.columns))]
        for row in sheet.rows:
            padded = [*row, *[""] * (len(sheet.columns) - len(row))]
            lines.append(_line([f"**{padded[0]}**", *padded[1:]] if len(row) == _SECTION else padded))
        parts.append("\n".join(lines))
        if sheet.caption:
            parts.append(sheet.caption)
    return "\n\n".join(parts) + "\n"


def rate(value: float, unit: str = "") -> str:
    """A number with three digits and a prefix: ``12.3 k``, with the unit if there is one."""
    number, prefix = value, ""
    for bound, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= bound * 0.9995:
            number, prefix = value / bound, name
            break
    return " ".join(part for part in (_three(number), prefix, unit) if part)


def _figures_sheet(suite: str, figures: list[Figure]) -> Sheet:
    sheet = Sheet(suite, _FIGURE_COLUMNS)
    for figure in figures:
        sheet.rows.append((_heading(figure),))
        sheet.rows.extend(_entry_row(figure, entry) for entry in figure.entries)
        sheet.rows.extend((f"{name}: {why}", *["–"] * 6) for name, why in figure.absent.items())
    sheet.caption = (
        "Medians and quartiles over the rounds of a figure. Ratio: to the baseline, round by round. "
        "One thread: CPU time; more: wall time."
    )
    return sheet


def _heading(figure: Figure) -> str:
    threads = f"{figure.threads} thread" + "s" * (figure.threads > 1)
    return ", ".join(
        [figure.title, *(f"{name} {value}" for name, value in figure.parameters.items()), threads]
    )


def _entry_row(figure: Figure, entry: Entry) -> tuple[str, ...]:
    speed, ratio = by_threads(figure, entry)
    name = entry.name + (f" ({entry.note})" if entry.note else "")
    if entry.name == figure.baseline:
        name += " – baseline"
    elif entry.role == "reference":
        name += " – reference"
    return (
        name,
        rate(speed.median, f"{figure.unit}/s"),
        f"{rate(speed.low)} … {rate(speed.high)}",
        _duration(1 / speed.median),
        "" if ratio is None else f"{_three(ratio.median)} ×",
        "" if ratio is None else f"{_three(ratio.low)} … {_three(ratio.high)}",
        _aim(entry.aim, speed, ratio),
    )


def by_threads(figure: Figure, entry: Entry) -> tuple[Spread, Spread | None]:
    """Rate and ratio of CPU time with one thread, of wall time with more."""
    if figure.threads == 1:
        return entry.rate_cpu, entry.ratio_cpu
    return entry.rate_wall, entry.ratio_wall


def _aim(aim: Aim | None, speed: Spread, ratio: Spread | None) -> str:
    if aim is None:
        return ""
    value = ratio if aim.of == "ratio" else speed
    return f"{_bound(aim)}: baseline absent" if value is None else _reached(aim, value)


def _reached(aim: Aim, value: Spread) -> str:
    return f"{_bound(aim)}: {'reached' if aim.reached(value.median) else 'missed'}"


def _bound(aim: Aim) -> str:
    sign, bound = ("≥", aim.least) if aim.least is not None else ("≤", aim.most)
    assert bound is not None
    return f"{sign} {bound:g}" if aim.of == "ratio" else f"{sign} {rate(bound)}"


def _facts_sheet(facts: Iterable[Fact]) -> Sheet:
    sheet = Sheet("Sizes and times", ("", "with", "value", "quartiles", "aim", "note"), numbers=False)
    for fact in facts:
        reached = "" if fact.aim is None else _reached(fact.aim, fact.value)
        spread = f"{rate(fact.value.low)} … {rate(fact.value.high)}" if fact.value.count > 1 else ""
        given = ", ".join(f"{name} {value}" for name, value in fact.parameters.items())
        sheet.rows.append((fact.title, given, rate(fact.value.median, fact.unit), spread, reached, fact.note))
    return sheet


def _profile_sheet(profile: Profile) -> Sheet:
    given = ", ".join(f"{name} {value}" for name, value in profile.parameters.items())
    sheet = Sheet(f"Where the time goes: {profile.title}, {given}", ("", "share", "time", "calls"))
    for heading, shares in (("by kind", profile.kinds), ("by function", profile.functions)):
        sheet.rows.append((heading,))
        sheet.rows.extend(
            (one.name, f"{100 * one.share:.1f} %", _duration(one.seconds), f"{one.calls:,}") for one in shares
        )
    sheet.caption = f"Of {_duration(profile.seconds)} of CPU time, measured apart from the figures above."
    return sheet


def _machine_sheet(report: Report) -> Sheet:
    machine = report.machine
    sheet = Sheet("Machine and versions", ("", ""), numbers=False)
    blas = "; ".join(" ".join(pool.values()) for pool in machine.get("blas", []))
    load = ", ".join(f"{one:.2f}" for one in machine.get("load_at_start", []))
    sheet.rows = [
        ("CPU", f"{machine.get('cpu', '?')}, {machine.get('cores', '?')} cores"),
        ("NumPy", f"BLAS {blas}; SIMD {' '.join(machine.get('numpy_simd', []))}"),
        ("load at start", load),
        ("versions", ", ".join(f"{name} {value}" for name, value in report.versions.items())),
        ("peers", ", ".join(f"{name} {value}" for name, value in report.peers.items())),
    ]
    return sheet


def _duration(seconds: float) -> str:
    for bound, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= bound * 0.9995:
            return f"{_three(seconds / bound)} {unit}"
    return f"{_three(seconds * 1e9)} ns"


def _three(value: float) -> str:
    """Three digits, without an exponent."""
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def _sections(sheet: Sheet) -> list[tuple[str | None, list[tuple[str, ...]]]]:
    """The rows under each heading; None where they have none."""
    found: list[tuple[str | None, list[tuple[str, ...]]]] = []
    for row in sheet.rows:
        if len(row) == _SECTION:
            found.append((row[0], []))
        elif not found:
            found.append((None, [row]))
        else:
            found[-1][1].append(row)
    return found


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
