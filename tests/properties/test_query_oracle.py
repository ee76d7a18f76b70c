"""Generated questions over the four hospitals answer as DuckDB answers the same text over the pooled table.

The oracle runs the *analyst's own text*, so precedence, null semantics, rounding and grouping of what Kapok
rebuilds are all compared with an engine that never saw Kapok's types.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb
import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kapok.computations import Thresholds
from kapok.computations.query.analyst import Answer, answer
from kapok.computations.query.holder import contribute
from kapok.computations.query.reading import read_question
from kapok.documents.dataset import Dataset

HEART = Path(str(files("kapok.demo").joinpath("heart")))
HOSPITALS = ("cleveland", "hungarian", "switzerland", "va")
DATASET = msgspec.structs.replace(Dataset.from_toml(HEART / "heart.toml"), empty_cells="show")


class Duck:
    dialect = "duckdb"

    def __init__(self, name: str, hospitals: Sequence[str]) -> None:
        self.connection = duckdb.connect(config={"threads": 1})
        columns = ", ".join(f"'{column.name}': 'DOUBLE'" for column in DATASET.columns)
        kinds = {"integer": "BIGINT", "decimal": "DECIMAL(9, 1)"}
        casts = ", ".join(
            f"CAST({column.name} AS {kinds[column.type]}) AS {column.name}" for column in DATASET.columns
        )
        listed = ", ".join(f"'{HEART / f'processed.{hospital}.data'}'" for hospital in hospitals)
        self.connection.execute(
            f"CREATE TABLE {name} AS SELECT {casts} "
            f"FROM read_csv([{listed}], header = false, nullstr = '?', columns = {{{columns}}})"
        )

    def fetch(self, select_sql: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(select_sql).fetchall()


@cache
def holders() -> list[Duck]:
    return [Duck("source", [hospital]) for hospital in HOSPITALS]


@cache
def pooled() -> Duck:
    return Duck("heart", HOSPITALS)


def federated(sql: str, min_cell: int) -> Answer:
    question = read_question(sql, DATASET)
    words = [contribute(question, DATASET, engine, Thresholds(0, min_cell)) for engine in holders()]
    return answer(question, DATASET, words[0].add(*words[1:]).to_integers())


def case(word: str) -> st.SearchStrategy[str]:
    return st.sampled_from([word, word.lower(), word.capitalize()])


PLAIN = [column.name for column in DATASET.columns if column.domain is None]
CODED = [column for column in DATASET.columns if column.domain is not None]
names = st.sampled_from([column.name for column in DATASET.columns]).flatmap(
    lambda name: st.sampled_from([name, name.upper(), f'"{name}"', f"heart.{name}"])
)
literals = st.one_of(
    st.integers(-20, 300).map(str),
    st.sampled_from(["0", "1", "50", "120", "-1", "63.0"]),
    st.decimals(-3, 7, places=2).map(lambda number: f"{number:f}"),
)
plain = st.sampled_from(PLAIN)
numbers = st.recursive(
    st.one_of(plain, names, literals),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*"]), inner).map(" ".join),
        inner.map(lambda text: f"({text})"),
        inner.map(lambda text: f"-({text})"),
    ),
    max_leaves=3,
)
coded = st.sampled_from(CODED).flatmap(
    lambda column: st.one_of(
        st.tuples(
            st.just(column.name),
            st.sampled_from(["=", "<>", "!="]),
            st.sampled_from(column.domain or ()).map(str),
        ).map(" ".join),
        st.lists(st.sampled_from(column.domain or ()).map(str), min_size=1, max_size=4).flatmap(
            lambda values: st.sampled_from(["IN", "not in"]).map(
                lambda word: f"{column.name} {word} ({', '.join(values)})"
            )
        ),
    )
)
comparisons = st.one_of(
    coded,
    st.tuples(plain, st.sampled_from(["=", "<>", "<", "<=", ">", ">="]), literals).map(" ".join),
    st.tuples(numbers, st.sampled_from(["<", "<=", ">", ">="]), numbers).map(" ".join),
    st.tuples(plain, case("BETWEEN"), literals, st.just("AND"), literals).map(" ".join),
    st.tuples(plain, case("NOT BETWEEN"), literals, st.just("and"), literals).map(" ".join),
    st.tuples(plain, st.lists(literals, min_size=1, max_size=4)).map(
        lambda pair: f"{pair[0]} IN ({', '.join(pair[1])})"
    ),
    st.tuples(names, st.sampled_from(["IS NULL", "is not null", "IS NOT NULL"])).map(" ".join),
)
conditions = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.tuples(inner, case("AND"), inner).map(" ".join),
        st.tuples(inner, case("OR"), inner).map("\n".join),
        inner.map(lambda text: f"NOT ({text})"),
        inner.map(lambda text: f"not {text}"),
        inner.map(lambda text: f"({text})"),
        st.tuples(inner, st.sampled_from(["IS TRUE", "IS NOT TRUE", "IS FALSE", "IS NOT FALSE"])).map(
            lambda pair: f"({pair[0]}) {pair[1]}"
        ),
    ),
    max_leaves=6,
)
aggregates = st.one_of(
    st.just("COUNT(*)"),
    st.tuples(st.sampled_from(["COUNT", "sum", "Avg", "SUM", "AVG"]), names).map(
        lambda pair: f"{pair[0]}({pair[1]})"
    ),
)


@st.composite
def questions(draw: st.DrawFn) -> tuple[str, int]:
    groups = draw(st.lists(st.sampled_from([column.name for column in CODED]), max_size=2, unique=True))
    items = groups + ["COUNT(*)"] * bool(groups) + draw(st.lists(aggregates, min_size=not groups, max_size=4))
    selected = ", ".join(f"{item} AS c{place}" for place, item in enumerate(items))
    sql = f"SELECT {selected} FROM heart"
    if draw(st.booleans()) or not groups:
        sql += f" WHERE {draw(conditions)}"
    if groups:
        sql += f" GROUP BY {', '.join(groups)}"
    return sql, len(groups)


def same(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, float) and theirs is not None:
        return abs(ours - float(theirs)) <= 1e-9 * max(1.0, abs(float(theirs)))
    if isinstance(ours, Decimal):
        return ours == Decimal(theirs)
    return bool(ours == theirs) and (ours is None) == (theirs is None)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(questions(), st.sampled_from([0, 1]))
def test_answers_are_those_of_the_pooled_table(asked: tuple[str, int], min_cell: int) -> None:
    sql, groups = asked
    # With empty cells shown, neither 0 nor 1 suppresses anything: what is there has at least one row.
    found = federated(sql, min_cell)
    assert found.suppressed == ()
    ours = {row[:groups]: row for row in found.rows}
    theirs = {row[:groups]: row for row in pooled().fetch(sql)}
    assert ours.keys() == theirs.keys(), sql
    for key, row in theirs.items():
        for mine, other in zip(ours[key], row, strict=True):
            assert same(mine, other), (sql, key, mine, other)


def sizes_behind(kind: str, column: str | None) -> list[str]:
    """Every number of rows that must be zero or large enough, in plain SQL."""
    if column is None:
        return ["COUNT(*)"]
    domain = DATASET.column(column).domain or ()
    sizes = [f"COUNT({column})"]
    if kind in ("sum", "avg") and len(domain) == 2:
        sizes += [f"COUNT(*) FILTER ({column} = {value})" for value in domain]
    elif kind in ("sum", "avg"):
        sizes.append(f"COUNT(*) FILTER ({column} <> 0)")
    return sizes


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(questions(), st.integers(2, 12), st.integers(0, 60))
def test_all_small_cells_are_suppressed_and_what_is_shown_is_the_truth(
    asked: tuple[str, int], min_cell: int, min_rows: int
) -> None:
    sql, groups = asked
    question = read_question(sql, DATASET)
    thresholds = Thresholds(min_rows, min_cell)
    words = [contribute(question, DATASET, engine, thresholds) for engine in holders()]
    found = answer(question, DATASET, words[0].add(*words[1:]).to_integers())
    # What each holder alone knows, by asking its own table for the counts behind every column of the answer.
    small: set[tuple[tuple[Any, ...], str]] = set()
    measured = [item for item in question.items if item.kind != "group"]
    names = [item.name for item in measured]
    tallies = {item.name: sizes_behind(item.kind, item.column) for item in measured}
    asked_sizes = [(name, size) for name, sizes in tallies.items() for size in sizes]
    counts = ", ".join(size for _, size in asked_sizes)
    keys = "".join(f'"{name}", ' for name in question.group_by)
    tail = question.sql[question.sql.index("FROM heart") + len("FROM heart") :]
    for engine in holders():
        rows = engine.fetch(f"SELECT {keys}COUNT(*), {counts} FROM source{tail}")
        kept = sum(row[groups] for row in rows)
        for row in rows if kept >= min_rows else ():
            small |= {
                (row[:groups], name)
                for (name, _), count in zip(asked_sizes, row[groups + 1 :], strict=True)
                if 0 < count < min_cell
            }
        if kept < min_rows:
            small |= {(row[:groups], name) for row in found.rows for name in names}
    labelled = {(found.rows[row][:groups], name) for row, name in found.suppressed}
    assert labelled >= small, sql
    theirs = {row[:groups]: row for row in pooled().fetch(sql)}
    for row, values in enumerate(found.rows):
        # A group without rows may be hidden in part for another's sake, and the rest of it is empty.
        truth = theirs.get(values[:groups])
        for place, (item, mine) in enumerate(zip(question.items, values, strict=True)):
            if (row, item.name) in found.suppressed or (truth is None and place >= groups):
                assert not mine, (sql, item.name)
            else:
                assert truth is None or same(mine, truth[place]), (sql, item.name)
