"""A table that joined a dataset: read for a question, or not, and nobody outside can tell which.

Whoever reads gets an engine, or None where the table is not fit: missing, unreadable, or not what the schema
says. Then every cell is suppressed. The same holds when the file changed while it was read.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from kapok.documents.dataset import Dataset
from kapok.errors import InvalidInput
from kapok.nodes.settings import CsvSource, EngineLimits, ParquetSource
from kapok.nodes.sources.check import Problem, TableReport, check_table, define_source
from kapok.nodes.sources.engine import SourceEngine, open_engine
from kapok.nodes.sources.version import VersionKey

__all__ = ["Reading", "Table"]


@dataclass(slots=True)
class Reading:
    """A table while it is read.

    Attributes:
        engine: Answers SELECTs over ``source``; None when the table is not fit.
        version: Of the data, 64 hexadecimal digits.
        steady: Set when the block ends: whether the file stayed what it was.
        unfit: Why nothing of the table can be used, for the holder's own log; empty when all is well.
    """

    engine: SourceEngine | None
    version: str
    steady: bool = False
    unfit: tuple[str, ...] = ()


class Table:
    """A dataset's schema over one source."""

    def __init__(
        self, dataset: Dataset, source: CsvSource | ParquetSource, limits: EngineLimits, key: VersionKey
    ) -> None:
        self.dataset = dataset
        self.source = source
        self._limits = limits
        self._key = key
        self._lock = threading.Lock()
        self._checked: tuple[str, TableReport] | None = None

    def version(self) -> str:
        """The data version now; of a table that cannot be read as well."""
        return self._key.version(self.source.path)[0]

    def check(self) -> TableReport:
        """Check the whole table; once for each version."""
        version, there = self._key.version(self.source.path)
        if not there:
            return TableReport(None, (Problem("the file is not there, or cannot be read"),))
        with self._lock:
            if self._checked and self._checked[0] == version:
                return self._checked[1]
            try:
                with open_engine(self.source, self._limits) as engine:
                    report = check_table(self.dataset, engine)
            except InvalidInput as error:
                report = TableReport(None, (Problem(error.message),))
            if self._key.version(self.source.path) != (version, True):
                return TableReport(None, (Problem("the file changed while it was read; check again"),))
            self._checked = (version, report)
            return report

    @contextlib.contextmanager
    def reading(self) -> Iterator[Reading]:
        """Open the table for one contribution. Never raises because of data."""
        version, there = self._key.version(self.source.path)
        with contextlib.ExitStack() as stack:
            engine = None
            report = self.check()
            unfit = tuple(problem.reason for problem in report.problems)
            if there and report.ok:
                try:
                    engine = stack.enter_context(open_engine(self.source, self._limits))
                    define_source(self.dataset, engine)
                except InvalidInput as error:
                    engine, unfit = None, (error.message,)
            reading = Reading(engine, version, unfit=unfit)
            yield reading
        reading.steady = self._key.version(self.source.path) == (version, there)
        if not reading.steady:
            reading.unfit = ("the file changed while it was read",)
