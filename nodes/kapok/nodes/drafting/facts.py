"""What the cells of a file's columns are like: counts over all rows, asked of the engine.

A cell counts as a number, a date, … exactly if the check of a table takes it for one: the conditions are
those of `kapok.nodes.sources.cells`, under bounds as wide as a schema may have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from kapok.documents.columns import LARGEST_STEPS, Column
from kapok.nodes.sources.cells import cell
from kapok.nodes.sources.engine import SourceEngine
from kapok.nodes.sources.spelling import DUCKDB, SourceColumn, literal, quoted

__all__ = [
    "NULL_WORDS",
    "Facts",
    "decimals_of",
    "extremes_of",
    "facts_of",
    "groups_of",
    "null_words_of",
    "wide",
]

_MOST_DECIMALS: Final = 9
_BINARY: Final = ("double", "float")
_A_PASS: Final = 150
# Words that files write for "unknown". Not "-" and ".", which a column of codes may well have.
NULL_WORDS: Final = (
    "?",
    "NA",
    "N/A",
    "n/a",
    "#N/A",
    "NULL",
    "null",
    "None",
    "NaN",
    "nan",
    "NaT",
    "<NA>",
    "\\N",
)
_ELSEWHERE: Final = "[0-9]{1,2}([./-])[0-9]{1,2}[./-]([0-9]{2}|[0-9]{4})([ T,].*)?"


@dataclass(frozen=True, slots=True)
class Facts:
    """Counts of one column's cells.

    Attributes:
        source: The column as the engine has it; a text for every column of a CSV file.
        known: Cells that are not null.
        nulls: Cells that are.
        distinct: About how many different ones.
        numbers: Those that can be read as a number.
        padded: Texts that begin with a zero and another digit, as codes do and numbers do not.
        days: Those that are whole days.
        seconds: Those that are whole seconds.
        moments: Those that are dates or times of any fineness.
        truths: Those that are words for true or false, or such values.
        elsewhere: Texts that look like days in another order than year, month, day.
    """

    source: SourceColumn
    known: int
    nulls: int
    distinct: int
    numbers: int
    padded: int
    days: int
    seconds: int
    moments: int
    truths: int
    elsewhere: int

    @property
    def name(self) -> str:
        """The column's name in the file."""
        return self.source.name


def wide(name: str, kind: str, decimals: int = 0) -> Column:
    """A column of a type other than text with the widest bounds that a schema may have."""
    if kind == "boolean":
        return Column(name=name, type="boolean", nullable=True)
    if kind == "date":
        return Column(name=name, type="date", nullable=True, minimum="0001-01-01", maximum="9999-12-31")
    if kind == "timestamp":
        first, last = "0001-01-01T00:00:00", "9999-12-31T23:59:59"
        return Column(name=name, type="timestamp", nullable=True, minimum=first, maximum=last)
    if not decimals:
        most: str | int = LARGEST_STEPS
        return Column(name=name, type="integer", nullable=True, minimum=-LARGEST_STEPS, maximum=most)
    most = f"{str(LARGEST_STEPS)[:-decimals]}.{'9' * decimals}"
    return Column(
        name=name,
        type="decimal",
        nullable=True,
        resolution=f"0.{'1':0>{decimals}}",
        minimum=f"-{most}",
        maximum=most,
    )


def null_words_of(engine: SourceEngine) -> dict[str, frozenset[str]]:
    """Words for "unknown", the empty one too, that stand in each column of a CSV file.

    Args:
        engine: Over the file, with no more than the empty word read as null.

    Raises:
        InvalidInput: ``source_unreadable``.
    """
    sought = ("", *NULL_WORDS)
    # A bit for each word: a list of distinct texts would take megabytes for each column.
    bits = " ".join(f"WHEN {literal(word)} THEN {1 << place}" for place, word in enumerate(sought))
    asked = {
        one.name: f"bit_or(CASE coalesce({quoted(one.name)}, '') {bits} ELSE 0 END)"
        for one in engine.columns.values()
    }
    return {
        name: frozenset(word for place, word in enumerate(sought) if (found or 0) >> place & 1)
        for name, found in _ask(engine, asked).items()
    }


def facts_of(engine: SourceEngine) -> list[Facts]:
    """The facts of all columns, in the file's order.

    Raises:
        InvalidInput: ``source_unreadable``.
    """
    counts = {one.name: _counts(one) for one in engine.columns.values()}
    asked = {(name, fact): sql for name, facts in counts.items() for fact, sql in facts.items()}
    found = _ask(engine, asked)
    return [
        Facts(one, **{fact: found[one.name, fact] for fact in counts[one.name]})
        for one in engine.columns.values()
    ]


def _wrong(column: Column, source: SourceColumn) -> dict[str, str]:
    return cell(column, source, DUCKDB).wrong


def _counts(source: SourceColumn) -> dict[str, str]:
    value = quoted(source.name)
    text = DUCKDB.trimmed(value)
    day, second = (_wrong(wide("x", moment), source) for moment in ("date", "timestamp"))
    is_text = source.kind == "text"
    conditions = {
        "numbers": f"NOT {_wrong(wide('x', 'integer'), source)['type']}",
        "padded": f"regexp_matches({text}, '^[+-]?0[0-9]')" if is_text else "FALSE",
        "days": " AND ".join(f"NOT {day[fault]}" for fault in ("type", "resolution", "range")),
        "seconds": " AND ".join(f"NOT {second[fault]}" for fault in ("type", "resolution", "range")),
        "moments": f"NOT {second['type']}",
        "truths": f"lower({text}) IN ('true', 'false', 't', 'f')"
        if is_text
        else str(source.kind == "boolean"),
        "elsewhere": DUCKDB.matches(text, _ELSEWHERE) if is_text else "FALSE",
    }
    return {
        "known": f"count({value})",
        "nulls": f"count(*) - count({value})",
        "distinct": f"approx_count_distinct({value})",
    } | {
        fact: f"count(*) FILTER ({value} IS NOT NULL AND {condition})"
        for fact, condition in conditions.items()
    }


def decimals_of(engine: SourceEngine, columns: Sequence[Facts]) -> dict[str, int | None]:
    """The fewest decimals that hold every cell of columns of numbers; None where none do, or too large ones.

    Raises:
        InvalidInput: ``source_unreadable``.
    """
    asked = {(facts.name, step): sql for facts in columns for step, sql in _steps(facts).items()}
    seen = _ask(engine, asked)
    fewest: dict[str, int | None] = {
        facts.name: next((step for step in _steps(facts) if not seen[facts.name, step]), None)
        if facts.source.kind in _BINARY
        else seen[facts.name, 0]
        for facts in columns
    }
    trials = {
        facts.name: _faulty(facts.source, number)
        for facts in columns
        if (number := fewest[facts.name]) is not None and number <= _MOST_DECIMALS
    }
    faulty = _ask(engine, trials)
    return {name: None if faulty.get(name, 1) else number for name, number in fewest.items()}


def _steps(facts: Facts) -> dict[int, str]:
    """For binary fractions how many cells each number of decimals does not hold; else the digits seen."""
    if facts.source.kind not in _BINARY:
        digits = f"regexp_extract({DUCKDB.trimmed(quoted(facts.name))}, '[.]([0-9]*?)0*$', 1)"
        return {0: f"coalesce(max(length({digits})), 0)"}
    return {number: _faulty(facts.source, number) for number in range(_MOST_DECIMALS + 1)}


def _faulty(source: SourceColumn, decimals: int) -> str:
    """How many cells are not numbers of so many decimals."""
    wrong = _wrong(wide("x", "number", decimals), source)
    return f"count(*) FILTER ({' OR '.join(wrong.values())})"


def extremes_of(
    engine: SourceEngine, columns: Sequence[tuple[SourceColumn, Column]]
) -> dict[str, tuple[Any, Any]]:
    """Least and largest value of columns whose cells all are what a column of a schema says.

    Returns:
        By name in the file: integers, decimals, dates or datetimes, as the columns' types are.

    Raises:
        InvalidInput: ``source_unreadable``.
    """
    values = {source.name: cell(column, source, DUCKDB).value for source, column in columns}
    asked = {(name, end): f"{end}({value})" for name, value in values.items() for end in ("min", "max")}
    found = _ask(engine, asked)
    return {name: (found[name, "min"], found[name, "max"]) for name in values}


def groups_of(engine: SourceEngine, column: Column | None, facts: Facts, most: int) -> dict[Any, int] | None:
    """How many rows have each value of a column; None when more than `most` do.

    Args:
        engine: Over the file.
        column: What the cells are; None for texts.
        facts: Of the column.
        most: Different values.

    Raises:
        InvalidInput: ``source_unreadable``.
    """
    raw = quoted(facts.name)
    value = DUCKDB.text(raw) if column is None else cell(column, facts.source, DUCKDB).value
    rows = engine.run(
        f"SELECT {value} AS v, count(*) FROM {engine.relation} WHERE {raw} IS NOT NULL "  # noqa: S608
        f"GROUP BY v LIMIT {most + 1}"
    )
    return None if len(rows) > most else {row[0]: int(str(row[1])) for row in rows}


def _ask(engine: SourceEngine, asked: dict[Any, str]) -> dict[Any, Any]:
    """The value of each aggregate over the file, some in each scan."""
    found: dict[Any, Any] = {}
    keys = list(asked)
    for start in range(0, len(keys), _A_PASS):
        some = keys[start : start + _A_PASS]
        expressions = ", ".join(asked[key] for key in some)
        [values] = engine.run(f"SELECT {expressions} FROM {engine.relation}")  # noqa: S608
        found |= dict(zip(some, values, strict=True))
    return found
