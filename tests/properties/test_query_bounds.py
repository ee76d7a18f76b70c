"""No value within a schema's bounds, and no literal, makes any expression of a filter or a sum overflow.

An overflow suppresses everything, and only if some row reaches the expression: it would tell whether there
is such a row.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal, localcontext
from typing import Any

import duckdb
import pytest
import sqlglot
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st
from sqlglot import exp

from kapok.computations import Thresholds
from kapok.computations.query.build import engine_sql
from kapok.computations.query.holder import contribute
from kapok.computations.query.params import Question
from kapok.computations.query.reading import read_question
from kapok.documents.dataset import Column, Dataset
from kapok.errors import InvalidInput

LARGEST = 10**18 - 1
INT64 = 2**63


class Duck:
    dialect = "duckdb"

    def __init__(self, *statements: str) -> None:
        self.connection = duckdb.connect(config={"threads": 1})
        for statement in statements:
            self.connection.execute(statement)

    def fetch(self, select_sql: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(select_sql).fetchall()


def decimal_text(steps: int, decimals: int) -> str:
    with localcontext() as context:
        context.prec = 40
        return f"{Decimal(steps).scaleb(-decimals):f}"


@st.composite
def columns(draw: st.DrawFn, name: str) -> Column:
    decimals = draw(st.sampled_from([0, 0, 0, 1, 2, 9]))
    ends = st.one_of(
        st.sampled_from([0, 1, -1, LARGEST, -LARGEST, 2**31, 2**53]), st.integers(-LARGEST, LARGEST)
    )
    low, high = sorted((draw(ends), draw(ends)))
    kind: dict[str, Any] = {"type": "integer"}
    if decimals:
        kind = {"type": "decimal", "resolution": decimal_text(1, decimals)}
    return Column(
        name=name,
        nullable=True,
        minimum=decimal_text(low, decimals),
        maximum=decimal_text(high, decimals),
        **kind,
    )


@st.composite
def tables(draw: st.DrawFn) -> Dataset:
    made = tuple(draw(columns(name)) for name in ("a", "b", "c"))
    return Dataset(name="corners", rows_max=1000, empty_cells="show", columns=made)


def corners(dataset: Dataset) -> list[tuple[int | None, ...]]:
    """Each column at its least, at its largest, near zero, and unknown, in every combination."""
    sides = [
        [
            *dict.fromkeys((*column.step_bounds, min(max(0, column.step_bounds[0]), column.step_bounds[1]))),
            None,
        ]
        for column in dataset.columns
    ]
    return list(itertools.product(*sides))


def engine(dataset: Dataset, kinds: dict[str, str] | None = None) -> Duck:
    def cell(column: Column, steps: int | None) -> str:
        return "NULL" if steps is None else f"'{decimal_text(steps, column.decimals)}'"

    types = {column.name: f"DECIMAL(18, {column.decimals})" for column in dataset.columns} | (kinds or {})
    rows = [
        "(" + ", ".join(map(cell, dataset.columns, row)) + ")"  # each as a text that the engine casts
        for row in corners(dataset)
    ]
    named = ", ".join(column.name for column in dataset.columns)
    casts = ", ".join(f"CAST({name} AS {types[name]}) AS {name}" for name in types)
    return Duck(f"CREATE TABLE source AS SELECT {casts} FROM (VALUES {', '.join(rows)}) t({named})")


numbers = st.one_of(
    st.integers(0, LARGEST).map(str),
    st.sampled_from(
        ["0", "1", "0.1", "9", "999999999999999999", "0.00000000000000001", "999999999.999999999"]
    ),
    st.tuples(st.integers(0, 999), st.integers(1, 17)).map(lambda pair: decimal_text(*pair)),
)
operands = st.recursive(
    st.one_of(st.sampled_from("abc"), st.sampled_from("abc"), numbers, st.just("0")),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "*"]), inner).map(lambda it: f"({' '.join(it)})"),
        inner.map(lambda text: f"(-{text})"),
        inner.map(lambda text: f"{text} * 0"),
    ),
    max_leaves=5,
)
conditions = st.lists(
    st.one_of(
        st.tuples(operands, st.sampled_from(["=", "<>", "<", ">="]), operands).map(" ".join),
        st.tuples(operands, st.lists(numbers, min_size=1, max_size=4)).map(
            lambda it: f"{it[0]} IN ({', '.join(it[1])})"
        ),
        st.tuples(operands, operands, operands).map(lambda it: f"{it[0]} BETWEEN {it[1]} AND {it[2]}"),
        operands.map(lambda text: f"(a + {text}) IS NOT NULL"),
    ),
    min_size=1,
    max_size=3,
).map(" OR ".join)


def numbers_in(where: exp.Expr, row: dict[str, int | None]) -> Iterator[int]:
    """Every number that a WHERE clause writes or calculates for a row, by arithmetic of the test's own."""

    def value(node: exp.Expr) -> int | None:
        match node:
            case exp.Paren():
                return value(node.this)
            case exp.Cast():
                return value(node.this)
            case exp.Neg():
                inner = value(node.this)
                return None if inner is None else -inner
            case exp.Literal():
                return int(node.this)
            case exp.Column():
                return row[node.name]
            case exp.Add() | exp.Sub() | exp.Mul():
                left, right = value(node.this), value(node.expression)
                if left is None or right is None:
                    return None
                match node:
                    case exp.Add():
                        return left + right
                    case exp.Sub():
                        return left - right
                return left * right
        raise AssertionError(f"the test does not know {node!r}")

    for node in where.find_all(exp.Literal, exp.Add, exp.Sub, exp.Mul):
        found = value(node)
        if found is not None:
            yield found


def parsed(sql: str, dataset: Dataset) -> Question | None:
    try:
        return read_question(sql, dataset)
    except InvalidInput as error:
        refused = error
    assert refused.code == "number_too_large"
    return None


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
@given(tables(), conditions)
@example(
    Dataset(
        name="corners",
        rows_max=1000,
        empty_cells="show",
        columns=tuple(
            Column(name=name, type="integer", minimum=0, maximum=9, nullable=True) for name in "abc"
        ),
    ),
    "a IN (999999999999999999, 0.1) OR a = 3",
)
@example(
    Dataset(
        name="corners",
        rows_max=1000,
        empty_cells="show",
        columns=tuple(
            Column(name=name, type="integer", minimum=0, maximum=9, nullable=True) for name in "abc"
        ),
    ),
    "a * 0 = a * 0 * 0.00000000000000001 * 0.00000000000000001",
)
def test_no_filter_can_overflow(dataset: Dataset, condition: str) -> None:
    sql = f"SELECT COUNT(*), SUM(a), AVG(b), SUM(c) FROM corners WHERE {condition} OR TRUE"
    question = parsed(sql, dataset)
    if question is None:
        event("refused")
        return
    event("asked")
    rebuilt = sqlglot.parse_one(engine_sql(question, dataset, "duckdb"), dialect="duckdb").find(exp.Where)
    assert rebuilt is not None
    for row in corners(dataset):
        named = dict(zip("abc", row, strict=True))
        assert all(-INT64 <= number < INT64 for number in numbers_in(rebuilt, named)), (condition, row)
    alone = read_question(f"SELECT COUNT(*), SUM(a), AVG(b), SUM(c) FROM corners WHERE {condition}", dataset)
    holder = engine(dataset)
    words = []
    for asked in (alone, question):
        words = contribute(asked, dataset, holder, Thresholds(0, 0)).to_integers()
        assert [words[place] for place in (1, 4, 7, 10)] == [0, 0, 0, 0], condition
    rows = corners(dataset)
    assert words[0] == len(rows)
    centres = [sum(column.step_bounds) // 2 for column in dataset.columns]
    assert [words[place] for place in (3, 6, 9)] == [
        sum(row[place] - centre for row in rows if row[place] is not None)
        for place, centre in enumerate(centres)
    ]


@pytest.mark.parametrize("decimals", range(10))
@pytest.mark.parametrize("kind", ["DOUBLE", "DECIMAL(18, {})", "DECIMAL(38, {})", "TEXT"])
def test_every_resolution_is_exact_at_both_bounds(decimals: int, kind: str) -> None:
    # A double has no more than 15 digits that it surely keeps.
    most = 10**15 - 1 if kind == "DOUBLE" else LARGEST
    dataset = Dataset(
        name="corners",
        rows_max=1000,
        empty_cells="show",
        columns=(
            Column(
                name="a",
                type="decimal",
                minimum=decimal_text(-most, decimals),
                maximum=decimal_text(most, decimals),
                resolution=decimal_text(1, decimals),
            ),
        ),
    )
    holder = engine(dataset, {"a": kind.format(decimals)})
    for bound in (most, -most):
        question = read_question(
            f"SELECT SUM(a) FROM corners WHERE a = {decimal_text(bound, decimals)}", dataset
        )
        assert contribute(question, dataset, holder, Thresholds(0, 0)).to_integers() == [1, bound, 0]


@st.composite
def near_an_end(draw: st.DrawFn) -> tuple[date, date]:
    """The bounds of a column within four years of the calendar's first or last day."""
    days = sorted(draw(st.lists(st.integers(0, 1461), min_size=2, max_size=2)))
    if draw(st.booleans()):
        return date.min + timedelta(days=days[0]), date.min + timedelta(days=days[1])
    return date.max - timedelta(days=days[1]), date.max - timedelta(days=days[0])


DATE_PARTS = {
    "YEAR({})": lambda day: day.year,
    "QUARTER({})": lambda day: (day.month + 2) // 3,
    "MONTH({})": lambda day: day.month,
    "WEEK({})": lambda day: day.isocalendar().week,
    "DAY({})": lambda day: day.day,
    "ISODOW({})": lambda day: day.isoweekday(),
    "DAYOFYEAR({})": lambda day: day.timetuple().tm_yday,
    "DATE_DIFF('day', DATE_TRUNC('year', {0}), {0})": lambda day: day.timetuple().tm_yday - 1,
    "DATE_DIFF('day', DATE_TRUNC('month', {0}), {0})": lambda day: day.day - 1,
    "DATE_DIFF('day', DATE_TRUNC('week', {0}), {0})": lambda day: day.weekday(),
}


@settings(max_examples=60, deadline=None)
@given(
    near_an_end(),
    st.sampled_from(["date", "timestamp"]),
    st.one_of(st.integers(-1500, 1500), st.sampled_from([0, 1, -1, 2_917_000, -2_447_000, 10**8, -(10**8)])),
    st.sampled_from(sorted(DATE_PARTS)),
)
@example((date(9996, 1, 1), date.max), "date", 1, "YEAR({})")
@example((date(9996, 1, 1), date.max), "timestamp", 1, "YEAR({})")
@example((date.min, date(3, 1, 1)), "date", -1, "DATE_DIFF('day', DATE_TRUNC('year', {0}), {0})")
@example((date.min, date(3, 1, 1)), "timestamp", -1, "MONTH({})")
@example((date.min, date(3, 1, 1)), "date", 0, "DATE_DIFF('day', DATE_TRUNC('week', {0}), {0})")
def test_no_date_leaves_the_calendar(bounds: tuple[date, date], kind: str, shift: int, part: str) -> None:
    midnight = "" if kind == "date" else "T00:00:00"
    column = Column(
        name="d",
        type=kind,
        minimum=f"{bounds[0].isoformat()}{midnight}",
        maximum=f"{bounds[1].isoformat()}{'' if kind == 'date' else 'T23:59:59'}",
    )
    dataset = Dataset(name="corners", rows_max=10, empty_cells="show", columns=(column,))
    written = part.format(f"d {'-' if shift < 0 else '+'} INTERVAL {abs(shift)} DAY")
    try:
        moved = [DATE_PARTS[part](bound + timedelta(days=shift)) for bound in bounds]
    except OverflowError:
        assert parsed(f"SELECT COUNT(*) FROM corners GROUP BY {written}", dataset) is None
        return
    listed = ", ".join(f"({kind.upper()} '{bound.isoformat()}')" for bound in bounds)
    holder = Duck(f"CREATE TABLE source AS SELECT * FROM (VALUES {listed}) AS t(d)")
    grouped = read_question(f"SELECT COUNT(*) FROM corners GROUP BY {written}", dataset)
    words = contribute(grouped, dataset, holder, Thresholds(0, 0)).to_integers()
    assert (sum(words[::2]), sum(words[1::2])) == (len(bounds), 0)
    for value in moved:
        asked = read_question(f"SELECT COUNT(*) FROM corners WHERE {written} = {value}", dataset)
        assert contribute(asked, dataset, holder, Thresholds(0, 0)).to_integers() == [moved.count(value), 0]
