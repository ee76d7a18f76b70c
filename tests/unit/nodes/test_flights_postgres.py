"""Flights of three airports from PostgreSQL and from Parquet: the same words, and the pooled truth.

The files are those of `examples/flights`, which are no part of this repository: KAPOK_FLIGHTS names their
folder.
"""

import math
import os
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from kapok.computations import Thresholds
from kapok.computations.query.analyst import answer
from kapok.computations.query.holder import contribute
from kapok.computations.query.reading import read_question
from kapok.documents.dataset import Dataset
from kapok.nodes.settings import EngineLimits, ParquetSource, PostgresSource
from kapok.nodes.sources import Table
from kapok.nodes.sources.version import VersionKey

FOLDER = Path(os.environ.get("KAPOK_FLIGHTS", ""))
AIRPORTS = ("EWR", "JFK", "LGA")
SCHEMA = Path(__file__).parents[3] / "examples" / "flights" / "flights.toml"
QUESTIONS = (
    "SELECT carrier, COUNT(*), AVG(arr_delay), STDDEV_SAMP(arr_delay), CORR(arr_delay, distance) "
    "FROM flights GROUP BY carrier",
    "SELECT month, COUNT(*), AVG(dep_delay), VAR_POP(air_time), REGR_SLOPE(arr_delay, dep_delay) "
    "FROM flights GROUP BY month",
    "SELECT COUNT(*), COUNT(DISTINCT carrier), SUM(distance), COVAR_SAMP(distance, air_time) FROM flights",
    "SELECT FLOOR(distance / 500) * 500 AS far, COUNT(*), AVG(arr_delay - dep_delay), "
    "COUNT(*) FILTER (WHERE arr_delay > 60) FROM flights GROUP BY 1",
)


@pytest.fixture(scope="module")
def dataset():
    return Dataset.from_toml(SCHEMA)


@pytest.fixture
def tables(dataset, postgres, monkeypatch):
    """Each airport's table, once from its file and once from the server."""
    monkeypatch.setenv("FLIGHTS_URL", postgres.url())
    made = []
    for airport in AIRPORTS:
        path, name = FOLDER / f"flights_{airport}.parquet", f"flights_{airport.lower()}"
        postgres.make(name, pq.read_table(path))
        sources = ParquetSource(path), PostgresSource(url_env="FLIGHTS_URL", relation=name)
        made.append([Table(dataset, one, EngineLimits(threads=1), VersionKey(b"k" * 32)) for one in sources])
    return made


def words_of(table, question, dataset):
    with table.reading() as reading:
        assert reading.engine is not None, reading.unfit
        return contribute(question, dataset, reading.engine, Thresholds(20, 1))


@pytest.mark.slow
@pytest.mark.skipif("KAPOK_FLIGHTS" not in os.environ, reason="KAPOK_FLIGHTS names no folder")
def test_flights_in_postgresql_give_the_words_that_parquet_gives_and_the_truth(dataset, tables):
    files = [str(FOLDER / f"flights_{airport}.parquet") for airport in AIRPORTS]
    worst = 0.0
    for sql in QUESTIONS:
        question = read_question(sql, dataset)
        found = [[words_of(table, question, dataset) for table in both] for both in tables]
        for ours, theirs in found:
            assert ours.to_integers() == theirs.to_integers(), sql
        whole = found[0][0].add(*(ours for ours, _ in found[1:]))
        with duckdb.connect() as connection:
            connection.execute(f"CREATE VIEW flights AS SELECT * FROM read_parquet({files})")
            truth = {row[0]: row for row in connection.execute(sql).fetchall()}
        shown = answer(question, dataset, whole.to_integers())
        for number, row in enumerate(shown.rows):
            for place, (cell, true) in enumerate(zip(row, truth[row[0]], strict=True)):
                if (number, shown.columns[place].name) in shown.suppressed or cell is None:
                    continue
                if not isinstance(cell, float):
                    assert cell == true, (sql, row)
                else:
                    assert math.isclose(cell, true, rel_tol=1e-9), (sql, row)
                    worst = max(worst, abs(cell - true) / abs(true or 1.0))
    print(f"worst relative difference from DuckDB over all files: {worst:.1e}")
