"""The whole table against the dataset's schema, at joining and at each new data version, never per question.

A check per question would let a filter ask which rows are wrong. So it is decided over the whole table as
well what becomes of cells that break the schema: by the settings, cell by cell, whatever is asked. What is
reported stays at the holder, and names column, number of rows and a few rows; never a cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kapok.documents.dataset import Column, Dataset
from kapok.errors import counted, near
from kapok.nodes.source_settings import OnFault, Source
from kapok.nodes.sources.cells import FAULTS, NEVER, Cell, cell, treatment
from kapok.nodes.sources.engine import MEND_SOURCE, ROW, SourceEngine, Unreadable, select_list
from kapok.nodes.sources.spelling import quoted

__all__ = ["Problem", "TableReport", "check_table", "count_unfiltered", "define_source"]

_SHOWN_ROWS: Final = 5
_COLUMNS_A_PASS: Final = 40
_EMPTY: Final = (
    "the source has no rows: whatever this node takes part in would be suppressed; see that path names the "
    "right file, and that its filter keeps some"
)
_DONE: Final[dict[OnFault, str]] = {"missing": "read as missing", "clip": "read as the bound"}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with the table.

    Attributes:
        what: In words, with the column's name.
        rows: How many rows have it; 0 where it is not about rows.
        examples: Where a few of them are, as `SourceEngine.place` says it.
        uncounted: `what` without its counts, where it has some.
        remedy: What the holder may write where the data cannot be mended; empty when nothing helps.
    """

    what: str
    rows: int = 0
    examples: tuple[str, ...] = ()
    uncounted: str = ""
    remedy: str = ""

    @property
    def reason(self) -> str:
        """What a log may have, for it is read by more people than the table: no count, no row."""
        return self.uncounted or self.what

    def __str__(self) -> str:
        if not self.examples:
            return self.what
        more = ", …" if self.rows > len(self.examples) else ""
        return f"{self.what} (row {', '.join(self.examples)}{more})"


@dataclass(frozen=True, slots=True)
class TableReport:
    """What the check found.

    Attributes:
        rows: In all; None when the table cannot be read.
        unfiltered: How many there would be without the source's filter; None where that is not known, or
            there is none.
        problems: Whatever keeps the table from use.
        notes: What does not, and the holder should know: cells that are read as something else, and what the
            engine has to say.
    """

    rows: int | None
    problems: tuple[Problem, ...]
    notes: tuple[Problem, ...] = ()
    unfiltered: int | None = None

    @classmethod
    def unread(cls, error: Unreadable) -> TableReport:
        """The report on a table that cannot be read."""
        more = f": {error.remedy}" if error.remedy not in (None, MEND_SOURCE) else ""
        return cls(None, (Problem(error.message + more, uncounted=error.reason),))

    @property
    def ok(self) -> bool:
        """Whether the table is what the schema says."""
        return not self.problems


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    type: str
    cell: Cell
    does: dict[str, OnFault]
    schema: Column


def check_table(dataset: Dataset, source: Source, engine: SourceEngine) -> TableReport:
    """Read the whole table once and report; raises nothing because of data."""
    try:
        return _check(dataset, source, engine)
    except Unreadable as error:
        return TableReport.unread(error)


def count_unfiltered(engine: SourceEngine) -> int | None:
    """How many rows the source has without its filter; None where it has none.

    Raises:
        Unreadable: it cannot be read.
    """
    if not engine.unfiltered:
        return None
    [(rows,)] = engine.run(f"SELECT count(*) FROM {engine.unfiltered}")  # noqa: S608
    return _whole(rows)


def define_source(dataset: Dataset, source: Source, engine: SourceEngine) -> None:
    """Make the view ``source``: the schema's columns in the schema's types, and no others.

    There it is done, what the settings say of cells that break the schema.

    Raises:
        Unreadable: the source lacks columns.
    """
    columns, missing = _columns(dataset, source, engine)
    if missing:
        raise Unreadable("the source lacks columns")
    values = select_list({one.name: one.cell.treated(one.does) for one in columns})
    engine.define(f"SELECT {values} FROM {engine.relation}")  # noqa: S608 - names of the schema, quoted


def _columns(dataset: Dataset, source: Source, engine: SourceEngine) -> tuple[list[_Column], list[Problem]]:
    found, missing = [], []
    for column in dataset.columns:
        theirs = source.rename.get(column.name, column.name)
        if lies := engine.columns.get(theirs.lower()):
            does = treatment(column, source.on_fault_in.get(column.name, source.on_fault))
            found.append(_Column(column.name, column.type, cell(column, lies, engine.spelling), does, column))
        else:
            named = f" (there it would be {theirs})" if theirs != column.name else ""
            missing.append(Problem(f"column {column.name} is missing in the source{named}"))
    return found, missing


def _contradictions(dataset: Dataset, source: Source) -> list[Problem]:
    """What the settings say of columns that the schema does not have, or that it does not allow."""
    found = []
    columns = {column.name: column for column in dataset.columns}
    for key, names in (("rename", source.rename), ("on_fault_in", source.on_fault_in)):
        for name in names:
            if name not in columns:
                meant = near(name, columns)
                hint = f": did you mean {' or '.join(meant)}?" if meant else ""
                found.append(Problem(f"key {key!r} names {name!r}, which the schema does not have{hint}"))
    for name, does in source.on_fault_in.items():
        if (column := columns.get(name)) is None:
            continue
        clips = treatment(column, "clip")["range"] == "clip"
        able = ["refuse", *["missing"] * column.nullable, *["clip"] * clips]
        if does not in able:
            why = "may not be empty by the schema" if does == "missing" else "has no bounds to go to"
            found.append(Problem(f"key 'on_fault_in': column {name} {why}: write {' or '.join(able)}"))
    return found


def _check(dataset: Dataset, source: Source, engine: SourceEngine) -> TableReport:
    engine.check_whole()
    columns, missing = _columns(dataset, source, engine)
    problems = _contradictions(dataset, source) + missing
    notes = [Problem(note) for note in engine.notes]
    [(counted_rows,)] = engine.run(f"SELECT count(*) FROM {engine.relation}")  # noqa: S608
    rows = _whole(counted_rows)
    if rows > dataset.rows_max:
        what = f"the source has {counted(rows, 'row')}, the schema allows {dataset.rows_max}"
        problems.append(Problem(what, uncounted="the source has more rows than the schema allows"))
    if not rows:
        problems.append(Problem(_EMPTY))
    for start in range(0, len(columns), _COLUMNS_A_PASS):
        for one, fault, number in _pass(engine, columns[start : start + _COLUMNS_A_PASS]):
            does = one.does[fault]
            (problems if does == "refuse" else notes).append(_problem(engine, one, fault, number, does))
    return TableReport(rows, tuple(problems), tuple(notes))


def _pass(engine: SourceEngine, columns: list[_Column]) -> list[tuple[_Column, str, int]]:
    """One scan for some columns: each fault that there is, and in how many rows."""
    asked = [(one, fault) for one in columns for fault in FAULTS if one.cell.wrong[fault] != NEVER]
    if not asked:
        return []
    counts = ", ".join(f"count(*) FILTER (WHERE {one.cell.wrong[fault]})" for one, fault in asked)
    [found] = engine.run(f"SELECT {counts} FROM {engine.relation}")  # noqa: S608
    return [(one, fault, _whole(n)) for (one, fault), n in zip(asked, found, strict=True) if n]


def _problem(engine: SourceEngine, one: _Column, fault: str, number: int, does: OnFault) -> Problem:
    row, wrong = quoted(ROW), one.cell.wrong[fault]
    rows = engine.run(f"SELECT {row} FROM {engine.numbered} WHERE {wrong} LIMIT {_SHOWN_ROWS}")  # noqa: S608
    words = FAULTS[fault]
    some = f"{counted(number, 'cell')} {words.format(type=one.type, are='is' if number == 1 else 'are')}"
    uncounted = f"column {one.name}: cells {words.format(type=one.type, are='are')}"
    then = f": {_DONE[does]}" if does in _DONE else ""
    return Problem(
        f"column {one.name}: {some}{then}",
        number,
        tuple(engine.place(found) for (found,) in rows),
        uncounted + then,
        _instead(one, fault) if does == "refuse" else "",
    )


def _instead(one: _Column, fault: str) -> str:
    """What `on_fault_in` may say, so that the table is used though the fault stays."""
    able = [other for other in _DONE if treatment(one.schema, other)[fault] != "refuse"]
    if not able:
        return ""
    written = " or ".join(f'"{other}"' for other in able)
    return f"mend the data, or write on_fault_in = {{{one.name} = {written}}}, or on_fault for all columns"


def _whole(value: object) -> int:
    if not isinstance(value, int):
        raise Unreadable("the engine's answer is not a number")
    return value
