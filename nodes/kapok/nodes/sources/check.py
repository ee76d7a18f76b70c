"""The whole table against the dataset's schema, at joining and at each new data version, never per question.

A check per question would let a filter ask which rows are wrong. What is reported stays at the holder, and
names column, number of rows and a few row numbers; never a cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kapok.documents.dataset import Dataset
from kapok.errors import InvalidInput, counted
from kapok.nodes.sources.cells import FAULTS, Cell, cell
from kapok.nodes.sources.engine import MEND_SOURCE, SourceEngine, select_list

__all__ = ["Problem", "TableReport", "check_table", "define_source"]

_SHOWN_ROWS: Final = 5
_COLUMNS_A_PASS: Final = 40
_EMPTY: Final = (
    "the source has no rows: whatever this node takes part in would be suppressed; see that path names the "
    "right file"
)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with the table.

    Attributes:
        what: In words, with the column's name.
        rows: How many rows have it; 0 where it is not about rows.
        examples: Numbers of a few of them, from 1, the header not counted.
        uncounted: `what` without its counts, where it has some.
    """

    what: str
    rows: int = 0
    examples: tuple[int, ...] = ()
    uncounted: str = ""

    @property
    def reason(self) -> str:
        """What a log may have, for it is read by more people than the table: no count, no row."""
        return self.uncounted or self.what

    def __str__(self) -> str:
        if not self.rows:
            return self.what
        more = ", …" if self.rows > len(self.examples) else ""
        return f"{self.what} (row {', '.join(map(str, self.examples))}{more})"


@dataclass(frozen=True, slots=True)
class TableReport:
    """What the check found: rows in all (None when the table cannot be read), and every problem."""

    rows: int | None
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Whether the table is what the schema says."""
        return not self.problems


def check_table(dataset: Dataset, engine: SourceEngine) -> TableReport:
    """Read the whole table once and report; raises nothing because of data."""
    try:
        return _check(dataset, engine)
    except InvalidInput as error:
        return TableReport(None, (Problem(error.message),))


def define_source(dataset: Dataset, engine: SourceEngine) -> None:
    """Make the view ``source``: the schema's columns in the schema's types, and no other column of the file.

    Raises:
        InvalidInput: ``source_unreadable``.
    """
    cells, missing = _cells(dataset, engine)
    if missing:
        raise InvalidInput("the source lacks columns", code="source_unreadable", remedy=MEND_SOURCE)
    values = select_list({name: one.value for name, one in cells.items()})
    engine.define(f"SELECT {values} FROM {engine.relation}")  # noqa: S608 - names of the schema, quoted


def _cells(dataset: Dataset, engine: SourceEngine) -> tuple[dict[str, Cell], list[str]]:
    found = {
        column.name: cell(column, *engine.columns[column.name])
        for column in dataset.columns
        if column.name in engine.columns
    }
    return found, [column.name for column in dataset.columns if column.name not in found]


def _check(dataset: Dataset, engine: SourceEngine) -> TableReport:
    cells, missing = _cells(dataset, engine)
    problems = [Problem(f"column {name} is missing in the source") for name in missing]
    [(rows,)] = engine.fetch(f"SELECT count(*) FROM {engine.relation}")  # noqa: S608
    rows = _whole(rows)
    if rows > dataset.rows_max:
        what = f"the source has {counted(rows, 'row')}, the schema allows {dataset.rows_max}"
        problems.append(Problem(what, uncounted="the source has more rows than the schema allows"))
    if not rows:
        problems.append(Problem(_EMPTY))
    names = list(cells)
    for start in range(0, len(names), _COLUMNS_A_PASS):
        problems += _pass(
            dataset, engine, {name: cells[name] for name in names[start : start + _COLUMNS_A_PASS]}
        )
    return TableReport(rows, tuple(problems))


def _pass(dataset: Dataset, engine: SourceEngine, cells: dict[str, Cell]) -> list[Problem]:
    """One scan for some columns: for each and each fault, how many rows, and the first of them."""
    asked = [(name, fault, one.wrong[fault]) for name, one in cells.items() for fault in FAULTS]
    flags = select_list({f"w{index}": wrong for index, (_, _, wrong) in enumerate(asked)})
    counts = ", ".join(
        f"count(*) FILTER (w{index}), min(n, {_SHOWN_ROWS}) FILTER (w{index})" for index in range(len(asked))
    )
    [found] = engine.fetch(
        f"SELECT {counts} FROM (SELECT row_number() OVER () AS n, {flags} FROM {engine.relation})"  # noqa: S608
    )
    problems = []
    for (name, fault, _), count, rows in zip(asked, found[0::2], found[1::2], strict=True):
        if number := _whole(count):
            kind, words = dataset.column(name).type, FAULTS[fault]
            some = f"{counted(number, 'cell')} {words.format(type=kind, are='is' if number == 1 else 'are')}"
            examples = tuple(_whole(row) for row in rows) if isinstance(rows, list) else ()
            uncounted = f"column {name}: cells {words.format(type=kind, are='are')}"
            problems.append(Problem(f"column {name}: {some}", number, examples, uncounted))
    return problems


def _whole(value: object) -> int:
    if not isinstance(value, int):
        raise InvalidInput(
            "the engine's answer is not a number", code="source_unreadable", remedy=MEND_SOURCE
        )
    return value
