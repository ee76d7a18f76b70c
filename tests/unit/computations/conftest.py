"""The demonstration's four hospitals, each in a DuckDB of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb
import pytest

from kapok.computations import Thresholds
from kapok.computations.query.analyst import Answer, answer
from kapok.computations.query.holder import contribute
from kapok.computations.query.reading import read_question
from kapok.documents.dataset import Dataset

HEART = Path(str(files("kapok.demo").joinpath("heart")))


class DuckEngine:
    """One holder's table in DuckDB, under the name ``source``."""

    dialect = "duckdb"

    def __init__(self, *statements: str) -> None:
        self.connection = duckdb.connect()
        for statement in statements:
            self.connection.execute(statement)

    def fetch(self, select_sql: str) -> Sequence[tuple[Any, ...]]:
        return self.connection.execute(select_sql).fetchall()

    def batches(self, select_sql: str) -> Iterator[Any]:
        yield from self.connection.sql(select_sql).to_arrow_reader(10_000)


def hospital_engine(name: str, dataset: Dataset, decimal: str = "DECIMAL(18, 1)") -> DuckEngine:
    columns = ", ".join(f"'{column.name}': 'DOUBLE'" for column in dataset.columns)
    casts = ", ".join(
        f"CAST({column.name} AS {decimal if column.type == 'decimal' else 'BIGINT'}) AS {column.name}"
        for column in dataset.columns
    )
    return DuckEngine(
        f"CREATE TABLE source AS SELECT {casts} FROM read_csv('{HEART / f'processed.{name}.data'}', "
        f"header = false, nullstr = '?', columns = {{{columns}}})"
    )


@pytest.fixture(scope="session")
def heart() -> Dataset:
    return Dataset.from_toml(HEART / "heart.toml")


@pytest.fixture(scope="session")
def hospitals(heart: Dataset) -> Iterator[dict[str, DuckEngine]]:
    made = {
        name: hospital_engine(name, heart, decimal)
        for name, decimal in (
            ("cleveland", "DECIMAL(18, 1)"),
            ("hungarian", "DOUBLE"),
            ("switzerland", "DECIMAL(9, 1)"),
            ("va", "DOUBLE"),
        )
    }
    yield made
    for engine in made.values():
        engine.connection.close()


@pytest.fixture(scope="session")
def ask(heart: Dataset, hospitals: dict[str, DuckEngine]) -> Callable[..., Answer]:
    """Ask all hospitals and add their words up, as the masked sum does."""

    def asked(sql: str, min_rows: int = 0, min_cell: int = 5, dataset: Dataset = heart) -> Answer:
        question = read_question(sql, dataset)
        thresholds = Thresholds(min_rows, min_cell)
        words = [contribute(question, dataset, engine, thresholds) for engine in hospitals.values()]
        return answer(question, dataset, words[0].add(*words[1:]).to_integers())

    return asked


@pytest.fixture(scope="session")
def engine_of() -> Callable[..., DuckEngine]:
    return DuckEngine
