"""Four holders' tables and what may be asked of them; the engine is asked each thing once in a process.

What is simulated here is who says what to whom and when, not the reading of files: DuckDB's answers are
remembered.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from kapok.computations.engines import Thresholds
from kapok.documents.dataset import Column, Dataset
from kapok.nodes.settings import CsvSource, EngineLimits
from kapok.nodes.sources.files import Idle, open_files
from kapok.nodes.sources.version import FileDigests, VersionKey
from support.several_rounds import ask

MIN_ROWS, MIN_CELL = 5, 3
DATASET: Final = Dataset(
    name="clinic",
    columns=(
        Column(name="stay", type="integer", minimum=0, maximum=15),
        Column(name="ward", type="text", domain=("a", "b", "c")),
        Column(name="smoker", type="text", domain=("no", "yes"), nullable=True),
    ),
    rows_max=100,
)
DATASET_HASH: Final = hashlib.sha256(DATASET.to_payload()).hexdigest()
ROWS: Final = {
    "a": [(index % 13, "ab"[index % 2], "yes" if index % 3 else "no") for index in range(40)],
    "b": [(index % 7, "b", "no") for index in range(30)],
    "c": [(15 - index % 4, "abc"[index % 3], "yes") for index in range(22)],
    "d": [(5, "c" if index else "a", "" if index % 2 else "no") for index in range(24)],
}
QUESTIONS: Final = (
    "SELECT COUNT(*), SUM(stay) FROM clinic",
    "SELECT ward, COUNT(*), AVG(stay) FROM clinic GROUP BY ward",
    "SELECT COUNT(*) FROM clinic WHERE smoker = 'no'",
    "SELECT MEDIAN(stay) FROM clinic",
)


class KeptEngine:
    """A real engine over one table that answers the same question once."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._answers: dict[tuple[str, str], Any] = {}
        self._source = ""
        self.failure = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def define(self, select_sql: str) -> None:
        """See `SourceEngine`."""
        if select_sql != self._source:
            self._engine.define(select_sql)
            self._source = select_sql

    def fetch(self, select_sql: str) -> Any:
        """See `SourceEngine`."""
        return self.run(select_sql)

    def run(self, select_sql: str) -> Any:
        """See `SourceEngine`."""
        key = (self._source, select_sql)
        if key not in self._answers:
            self._answers[key] = self._engine.run(select_sql)
        return self._answers[key]


class Tables:
    """The tables as files in a folder, and their engines."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = contextlib.ExitStack()
        self._engines: dict[str, KeptEngine] = {}
        self._truths: dict[tuple[str, tuple[str, ...]], Any] = {}
        for name, rows in ROWS.items():
            with self.file(name).open("w", newline="") as file:
                csv.writer(file).writerows([("stay", "ward", "smoker"), *rows])

    def file(self, name: str) -> Path:
        """A holder's table."""
        return self._folder / f"{name}.csv"

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Nodes read their tables here for as long as the block lasts."""

        @contextlib.contextmanager
        def opened(
            source: CsvSource, limits: EngineLimits, key: VersionKey, digests: FileDigests, _idle: Idle
        ) -> Iterator[KeptEngine]:
            name = source.path.stem
            if name not in self._engines:
                real = self._stack.enter_context(open_files(source, limits, key, digests))
                self._engines[name] = KeptEngine(real)
            yield self._engines[name]

        with patch("kapok.nodes.sources.table.open_files", opened):
            yield

    def truth(self, sql: str, names: tuple[str, ...]) -> Any:
        """What these holders' answer must be, computed without any protocol."""
        if (sql, names) not in self._truths:
            thresholds = Thresholds(min_rows=MIN_ROWS, min_cell=MIN_CELL)
            engines = [self._engines[name] for name in names]
            self._truths[sql, names] = ask(sql, DATASET, engines, thresholds)
        return self._truths[sql, names]
