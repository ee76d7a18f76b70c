"""PostgreSQL and DuckDB give the same numbers to the last bit, whatever is computed of a row."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from kapok.computations.query.build import engine_sql
from kapok.computations.query.reading import read_question
from kapok.documents.dataset import Column, Dataset

Engines = dict[str, Callable[[str], list[tuple[Any, ...]]]]

VISITS = Dataset(
    name="visits",
    rows_max=1000,
    columns=(
        Column(name="n", type="integer", minimum=-20, maximum=60, nullable=True),
        Column(name="big", type="integer", minimum=-(10**15), maximum=10**15),
        Column(name="x", type="decimal", minimum=-5, maximum=5, resolution="0.01", nullable=True),
        Column(name="ill", type="boolean", nullable=True),
        Column(name="ward", type="text", domain=("north", "South wing", "Öst"), nullable=True),
        Column(name="day", type="date", minimum="1968-11-01", maximum="1971-03-31", nullable=True),
        Column(name="seen", type="timestamp", minimum="1969-12-01T00:00:00", maximum="1970-01-31T23:59:59"),
    ),
)
ROWS = (
    "SELECT CAST(NULLIF(i % 81, 7) - 20 AS BIGINT) AS n, CAST((i - 90) * 11111111111111 AS BIGINT) AS big, "
    "CAST(NULLIF((i * 37 % 1001) - 500, 3) AS DECIMAL(18, 2)) / 100 AS x, "
    "CASE i % 3 WHEN 0 THEN TRUE WHEN 1 THEN FALSE END AS ill, "
    "CASE i % 4 WHEN 0 THEN 'north' WHEN 1 THEN 'South wing' WHEN 2 THEN 'Öst' END AS ward, "
    "CAST(CASE WHEN i % 9 > 0 THEN DATE '1968-11-01' + CAST(i * 4 AS INTEGER) END AS DATE) AS day, "
    "TIMESTAMP '1969-12-01 00:00:00' + i * 26783 * INTERVAL '1 second' AS seen "
    "FROM {series} AS s(i)"
)
NUMBERS = (
    *("n", "x", "n / 7", "x * n - 2.5", "n / x", "x / (n - 3)", "n % 7", "x % 0.3", "-x"),
    *("ABS(x)", "SIGN(x)", "ROUND(x)", "ROUND(n, -1)", "ROUND(x / 3, 2)", "FLOOR(x)", "CEIL(x)", "TRUNC(x)"),
    *("FLOOR(n / 10) * 10", "GREATEST(n, x, 2)", "LEAST(n, 2)", "SQRT(n)", "LN(n)", "LOG10(ABS(n))"),
    *("LOG2(n + 30)", "EXP(x)", "POWER(x, 3)", "POWER(n, -2)", "POWER(n, 0.5)", "POWER(ABS(x) + 1, -1.5)"),
    *("CASE WHEN n > 3 THEN n WHEN x > 0 THEN x END", "COALESCE(x, n, 0)", "NULLIF(n, 5)"),
    *(
        "LENGTH(ward)",
        "CASE ward WHEN 'north' THEN 1 ELSE 2.5 END",
        "YEAR(day)",
        "QUARTER(day)",
        "MONTH(day)",
    ),
    *("WEEK(day)", "DAY(day)", "DAYOFWEEK(day)", "ISODOW(day)", "DAYOFYEAR(day)", "HOUR(seen)"),
    *("MINUTE(seen)", "SECOND(seen)", "day - DATE '1970-01-01'", "DATE_DIFF('month', day, seen)"),
    *(
        "DATE_DIFF('week', day, DATE '1970-01-05')",
        "DATE_DIFF('hour', seen, TIMESTAMP '1970-01-01 00:30:00')",
    ),
)
KEYS = (
    *("ill", "UPPER(ward)", "ward || '-x'", "DATE_TRUNC('month', day)", "DATE_TRUNC('week', day)"),
    *("DATE_TRUNC('quarter', seen)", "DATE_TRUNC('day', seen)", "day + 3 > DATE '1970-01-01'"),
    *("ward < 'a'", "ward LIKE '%o%'", "(ill AND x > 0) IS NOT TRUE", "n BETWEEN 3 AND 9", "seen > day"),
    *("x IN (1, 2.5)", "CASE WHEN n > 30 THEN 'old' WHEN n > 0 THEN 'young' END", "FLOOR(n / 10)"),
)


@pytest.fixture(scope="module")
def engines(postgres: Any, engine_of: Callable[..., Any]) -> Engines:
    postgres.run(
        "DROP TABLE IF EXISTS source",
        f"CREATE TABLE source AS {ROWS.format(series='generate_series(0, 179)')}",
    )
    duck = engine_of(f"CREATE TABLE source AS {ROWS.format(series='range(180)')}")

    def of_postgres(sql: str) -> list[tuple[Any, ...]]:
        with postgres.cursor() as cursor:
            cursor.execute(sql)
            return [tuple(map(number, row)) for row in cursor.fetchall()]

    return {
        "duckdb": lambda sql: [tuple(map(number, row)) for row in duck.fetch(sql)],
        "postgres": of_postgres,
    }


def number(value: Any) -> Any:
    """Whole numbers in one type: PostgreSQL's sums are NUMERIC, which the driver gives as text.

    Of no values at all it lists a null, and DuckDB nothing.
    """
    if value == [None]:
        return None
    if isinstance(value, Decimal):
        return int(value) if value == int(value) else value
    return int(value) if isinstance(value, str) and value.lstrip("-").isdigit() else value


def both(sql: str, engines: Engines, largest: int = 0) -> Any:
    question = read_question(sql, VISITS)
    found = [
        sorted(fetch(engine_sql(question, VISITS, dialect, largest)), key=repr)
        for dialect, fetch in engines.items()
    ]
    assert found[0] == found[1], sql
    return found[0]


@pytest.mark.parametrize("expression", NUMBERS)
def test_numbers_agree(engines: Any, expression: str) -> None:
    rows = both(f"SELECT VAR_SAMP({expression}), CORR({expression}, n) FROM visits GROUP BY ill", engines)
    assert len(rows) > 3


@pytest.mark.parametrize("expression", ["big / (n + 100)", "big * 9000 - n", "big / 3", "-big"])
def test_sums_of_large_numbers_agree(engines: Any, expression: str) -> None:
    both(f"SELECT SUM({expression}) FROM visits GROUP BY ill", engines)


@pytest.mark.parametrize("expression", KEYS)
def test_groups_and_conditions_agree(engines: Any, expression: str) -> None:
    rows = both(
        f"SELECT {expression} AS key, COUNT(*), SUM(n) FILTER (WHERE x > 0) FROM visits GROUP BY key", engines
    )
    assert len(rows) > 2


def test_the_largest_magnitudes_agree(engines: Any) -> None:
    both("SELECT SUM(x), CORR(n, x) FROM visits GROUP BY ward", engines, 3)
