"""Questions generated over the whole grammar answer as DuckDB answers the same text over the pooled table.

The oracle runs the *analyst's own text* over plain columns, so what Kapok reads, types, centres, adds up and
computes afterwards is compared with an engine that never saw Kapok's types. Rounding is asked of exact
values alone, since DuckDB computes quotients in doubles before it rounds them.
"""

from __future__ import annotations

import math
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from kapok.computations import Thresholds
from kapok.computations.query.analyst import Answer, answer
from kapok.computations.query.holder import contribute
from kapok.computations.query.reading import read_question
from kapok.documents.dataset import Column, Dataset
from kapok.errors import InvalidInput

VISITS = Dataset(
    name="visits",
    rows_max=1000,
    empty_cells="show",
    columns=(
        Column(name="n", type="integer", minimum=-20, maximum=60, nullable=True),
        Column(name="k", type="integer", domain=(1, 2, 5)),
        Column(name="x", type="decimal", minimum=-5, maximum=5, resolution="0.01", nullable=True),
        Column(name="ill", type="boolean", nullable=True),
        Column(name="ward", type="text", domain=("north", "South wing", "east", "Öst"), nullable=True),
        Column(name="day", type="date", minimum="1968-11-01", maximum="1971-03-31", nullable=True),
        Column(name="seen", type="timestamp", minimum="1969-12-01T00:00:00", maximum="1970-01-31T23:59:59"),
    ),
)
HOLDERS = 3
ROWS = (
    "SELECT CASE WHEN h % 7 = 0 THEN NULL ELSE h % 81 - 20 END::BIGINT AS n, "
    "[1, 2, 5][h // 3 % 3 + 1]::BIGINT AS k, "
    "CASE WHEN h % 11 = 0 THEN NULL ELSE ((h // 5 % 1001) - 500) / 100 END::DECIMAL(9, 2) AS x, "
    "CASE h % 5 WHEN 0 THEN NULL WHEN 1 THEN true WHEN 2 THEN true ELSE false END AS ill, "
    "CASE WHEN h % 13 = 0 THEN NULL ELSE ['north', 'South wing', 'east', 'Öst'][h // 7 % 4 + 1] END AS ward, "
    "CASE WHEN h % 17 = 0 THEN NULL ELSE DATE '1968-11-01' + (h // 11 % 881)::INTEGER END AS day, "
    f"TIMESTAMP '1969-12-01 00:00:00' + to_seconds(h // 13 % 5356800) AS seen, i % {HOLDERS} AS holder "
    "FROM (SELECT i, (i * 2654435761 % 4294967296) AS h FROM range(180) r(i))"
)


class Duck:
    dialect = "duckdb"

    def __init__(self, statement: str) -> None:
        self.connection = duckdb.connect(config={"threads": 1})
        self.connection.execute(statement)

    def fetch(self, select_sql: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(select_sql).fetchall()


@cache
def holders() -> list[Duck]:
    return [
        Duck(f"CREATE TABLE source AS SELECT * EXCLUDE (holder) FROM ({ROWS}) WHERE holder = {number}")
        for number in range(HOLDERS)
    ]


@cache
def pooled() -> Duck:
    return Duck(f"CREATE TABLE visits AS {ROWS}")


def federated(sql: str) -> Answer:
    question = read_question(sql, VISITS)
    words = [contribute(question, VISITS, engine, Thresholds(0, 0)) for engine in holders()]
    return answer(question, VISITS, words[0].add(*words[1:]).to_integers())


def text_of(*parts: Any) -> st.SearchStrategy[str]:
    """Texts of strategies and of what stands between them."""
    return st.tuples(*(st.just(part) if isinstance(part, str) else part for part in parts)).map("".join)


small = st.integers(1, 9).map(str)
texts = st.recursive(
    st.just("ward"),
    lambda inner: st.one_of(
        text_of(st.sampled_from(["UPPER(", "lower(", "TRIM("]), inner, ")"),
        text_of("SUBSTR(", inner, ", ", small, ", 3)"),
        text_of(st.sampled_from(["LEFT(", "RIGHT("]), inner, ", ", small, ")"),
        text_of("REPLACE(", inner, ", 't', 'TT')"),
        text_of(inner, " || '-x'"),
        text_of("CONCAT('a', ", inner, ")"),
        text_of("CASE WHEN n > ", small, " THEN ", inner, " ELSE 'other' END"),
    ),
    max_leaves=2,
)
parts = st.sampled_from(["YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "DAYOFWEEK", "ISODOW", "DAYOFYEAR"])
exact_leaves = st.one_of(
    st.sampled_from(["n", "n", "k", "x", "x"]),
    st.integers(-9, 30).map(str),
    st.sampled_from(["0.5", "2.25", "-1.1"]),
    text_of("LENGTH(", texts, ")"),
    text_of(parts, "(day)"),
    text_of(parts, "(seen)"),
    text_of(st.sampled_from(["HOUR", "MINUTE", "SECOND"]), "(seen)"),
    text_of("EXTRACT(", parts.filter(lambda part: part not in ("DAYOFWEEK", "DAYOFYEAR")), " FROM day)"),
    text_of(
        "DATE_DIFF(",
        st.sampled_from(["'day'", "'quarter'", "'month'", "'year'"]),
        ", day, DATE '1970-06-15')",
    ),
    text_of(
        "DATE_DIFF(",
        st.sampled_from(["'hour'", "'minute'", "'day'"]),
        ", seen, TIMESTAMP '1970-01-01 12:30:00')",
    ),
    st.just("(day - DATE '1970-01-01')"),
)


def conditions_of(numbers: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    signs = st.sampled_from([" = ", " <> ", " < ", " <= ", " > ", " >= "])
    return st.recursive(
        st.one_of(
            text_of(numbers, signs, numbers),
            text_of(numbers, " BETWEEN ", numbers, " AND ", numbers),
            text_of(numbers, " IN (1, 2.5, 7)"),
            text_of(
                st.sampled_from(["n", "x", "ill", "ward", "day"]),
                " IS ",
                st.sampled_from(["", "NOT "]),
                "NULL",
            ),
            text_of(
                "ward",
                st.sampled_from([" LIKE ", " NOT LIKE ", " ILIKE "]),
                st.sampled_from(["'%o%'", "'S_u%'", "'east'"]),
            ),
            text_of("ward IN ('north', 'east')"),
            text_of(texts, st.sampled_from([" < ", " >= ", " <> "]), "'east'").filter(
                lambda text: text[:4] != "ward"
            ),
            text_of("day", signs, "DATE '1970-02-03'"),
            text_of("seen", signs, "TIMESTAMP '1970-01-01 00:00:00'"),
            text_of("day > seen"),
            st.just("ill"),
        ),
        lambda inner: st.one_of(
            text_of("(", inner, " AND ", inner, ")"),
            text_of("(", inner, " OR ", inner, ")"),
            text_of("NOT (", inner, ")"),
            text_of("(", inner, ") IS ", st.sampled_from(["TRUE", "NOT TRUE", "FALSE", "NOT FALSE"])),
        ),
        max_leaves=3,
    )


simple = conditions_of(st.sampled_from(["n", "k", "x", "3", "n + k"]))
exact = st.recursive(
    exact_leaves,
    lambda inner: st.one_of(
        text_of("(", inner, st.sampled_from([" + ", " - "]), inner, ")"),
        text_of("(", inner, " * ", st.one_of(small, st.sampled_from(["k", "-2", "0.5"])), ")"),
        text_of("(", inner, " % ", small, ")"),
        text_of(st.sampled_from(["ABS(", "SIGN(", "FLOOR(", "CEIL(", "ROUND(", "TRUNC("]), inner, ")"),
        text_of("ROUND(", inner, ", 1)"),
        text_of("-(", inner, ")"),
        text_of(st.sampled_from(["GREATEST(", "LEAST("]), inner, ", ", inner, ")"),
        text_of("COALESCE(", inner, ", ", inner, ")"),
        text_of("NULLIF(", inner, ", ", small, ")"),
        text_of("CASE WHEN ", simple, " THEN ", inner, " ELSE ", inner, " END"),
        text_of("CASE k WHEN 1 THEN ", inner, " WHEN 5 THEN ", inner, " END"),
    ),
    max_leaves=3,
)
conditions = conditions_of(exact)
real = st.one_of(
    exact,
    text_of("(", exact, " / ", small, ")"),
    text_of("(", exact, " / (k + ", small, "))"),
    text_of("SQRT(ABS(", exact, "))"),
    text_of(st.sampled_from(["LN(", "LOG10(", "LOG2("]), "ABS(", exact, ") + 1)"),
    st.sampled_from(
        ["EXP(x)", "POWER(x, 3)", "POWER(k, -1)", "POWER(ABS(n) + 1, 0.5)", "POWER(k + 0.5, -1.5)"]
    ),
)
filters = st.one_of(st.just(""), st.just(""), text_of(" FILTER (WHERE ", conditions, ")"))
single = st.sampled_from(
    ["SUM", "AVG", "COUNT", "VAR_SAMP", "VAR_POP", "STDDEV_SAMP", "stddev", "STDDEV_POP"]
)
double = st.sampled_from(
    [
        *("COVAR_SAMP", "COVAR_POP", "CORR", "REGR_SLOPE", "REGR_INTERCEPT", "REGR_R2", "REGR_COUNT"),
        *("REGR_AVGX", "REGR_AVGY", "REGR_SXX", "REGR_SYY", "REGR_SXY"),
    ]
)
aggregates = st.one_of(
    text_of("COUNT(*)", filters),
    text_of(single, "(", real, ")", filters),
    text_of(
        double,
        "(",
        st.sampled_from(["n", "x", "n * k"]),
        ", ",
        st.sampled_from(["x", "k", "n - x"]),
        ")",
        filters,
    ),
    text_of("COUNT(", st.sampled_from(["ill", "ward", "day", "seen"]), ")", filters),
    text_of(
        "COUNT(DISTINCT ", st.sampled_from(["k", "ward", "n", "ill", "n % 4", "YEAR(day)"]), ")", filters
    ),
    # Of no rows DuckDB's COUNT_IF is null.
    text_of("COALESCE(COUNT_IF((", conditions, ") IS TRUE), 0)"),
    text_of(st.sampled_from(["BOOL_AND(", "BOOL_OR("]), conditions, ")"),
)
afterwards = st.one_of(
    aggregates,
    text_of("SUM(n) * 2 - ", "COUNT(*)"),
    text_of("SUM(", exact, ") / (COUNT(*) + 1)"),
    text_of("COALESCE(", "SUM(n) FILTER (WHERE k = 5)", ", 0) + COUNT(k)"),
    text_of("CASE WHEN COUNT(*) > 20 THEN AVG(x) ELSE -1 END"),
    text_of("ABS(SUM(n)) % 7"),
    text_of("SQRT(COUNT(*))"),
)
keys = st.one_of(
    st.sampled_from(
        ["k", "ill", "ward", "n % 5", "n > 20", "UPPER(ward)", "LENGTH(ward)", "FLOOR(n / 10) * 10"]
    ),
    st.sampled_from(["YEAR(day)", "DATE_TRUNC('month', day)", "DATE_TRUNC('quarter', seen)", "ISODOW(day)"]),
    st.sampled_from(
        ["CASE WHEN x > 1 THEN 'high' WHEN x < 0 THEN 'low' END", "ROUND(x)", "COALESCE(n, 0) > 5"]
    ),
    st.sampled_from(["MONTH(day) + 1", "k * 2.5", "HOUR(seen) >= 12", "ward IS NULL", "SUBSTR(ward, 1, 1)"]),
)


@st.composite
def questions(draw: st.DrawFn) -> tuple[str, int]:
    """A question, and by how many keys its lines are told apart."""
    groups = draw(st.lists(keys, max_size=2, unique=True))
    items = ["COUNT(*)", *draw(st.lists(afterwards, min_size=1, max_size=3))]
    wrapped = draw(st.sampled_from(["plain", "plain", "ROLLUP", "CUBE"])) if groups else "plain"
    told = [*groups, *(f"GROUPING({group})" for group in groups if wrapped != "plain")]
    selected = ", ".join(f"{item} AS c{place}" for place, item in enumerate([*told, *items]))
    sql = f"SELECT {selected} FROM visits"
    if draw(st.booleans()):
        sql += f" WHERE {draw(conditions)}"
    if groups:
        listed = ", ".join(groups)
        sql += f" GROUP BY {listed if wrapped == 'plain' else f'{wrapped} ({listed})'}"
        if draw(st.booleans()):
            sql += f" HAVING COUNT(*) > {draw(small)}"
    return sql, len(told)


def plain(value: Any) -> Any:
    """One form of what engines give in several."""
    if isinstance(value, datetime) and (value.hour, value.minute, value.second) == (0, 0, 0):
        return value.date()
    if isinstance(value, float):
        return None if math.isnan(value) else (int(value) if value.is_integer() else value)
    if isinstance(value, Decimal):
        return int(value) if value == int(value) else float(value)
    return value


def same(ours: Any, theirs: Any) -> bool:
    theirs = None if isinstance(theirs, float) and math.isnan(theirs) else theirs
    if ours is None or theirs is None:
        return ours is theirs
    if isinstance(ours, float):
        return abs(ours - float(theirs)) <= 1e-9 * max(1.0, abs(float(theirs)))
    if isinstance(theirs, float):
        return bool(abs(float(ours) - theirs) <= 1e-9 * max(1.0, abs(theirs)))
    if isinstance(ours, date):
        return bool(plain(ours) == plain(theirs))
    return bool(ours == theirs)


def answered(sql: str) -> Answer | None:
    """None where the question is refused for what could be too large, or not public."""
    refused = None
    try:
        return federated(sql)
    except InvalidInput as error:
        refused = error.code
    assert refused in ("number_too_large", "no_domain", "outside_domain", "too_many_cells"), (sql, refused)
    return None


def check(asked: tuple[str, int]) -> None:
    sql, told = asked
    try:
        theirs_rows = pooled().fetch(sql)
    except duckdb.Error:
        assume(False)
    found = answered(sql)
    assume(found is not None)
    assert found is not None
    assert found.suppressed == ()
    ours = {tuple(map(plain, row[:told])): row for row in found.rows}
    theirs = {tuple(map(plain, row[:told])): row for row in theirs_rows}
    assert len(ours) == len(found.rows), sql
    assert ours.keys() == theirs.keys(), sql
    for key, row in theirs.items():
        for mine, other in zip(ours[key][told:], row[told:], strict=True):
            assert same(mine, other), (sql, key, mine, other)


_QUIET = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.large_base_example]


@settings(max_examples=80, deadline=None, suppress_health_check=_QUIET)
@given(questions())
@example(("SELECT COUNT(*) AS c0, BOOL_AND(k < 0) AS c1, BOOL_OR(NOT k < 0) AS c2 FROM visits", 0))
@example(
    ("SELECT COUNT(NULLIF(1, 1)) AS a, COUNT(CASE WHEN 1 = 2 THEN 1 END) AS b, COUNT(2) AS c FROM visits", 0)
)
def test_the_whole_grammar_answers_as_duckdb_does(asked: tuple[str, int]) -> None:
    check(asked)


@pytest.mark.slow
@settings(max_examples=3000, deadline=None, suppress_health_check=_QUIET)
@given(questions())
def test_thousands_of_questions_answer_as_duckdb_does(asked: tuple[str, int]) -> None:
    check(asked)
