"""A table that joined a dataset: read for a question, or not, and nobody outside can tell which.

Whoever reads gets an engine, or None where the table is not fit: missing, unreadable, or not what the schema
says. Then every cell is suppressed. The same holds when the source changed or failed while it was read.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from kapok.documents.dataset import Dataset
from kapok.nodes.settings import EngineLimits, PostgresSource, SourceSettings
from kapok.nodes.sources.check import Problem, TableReport, check_table, count_unfiltered, define_source
from kapok.nodes.sources.engine import SourceEngine, Unreadable
from kapok.nodes.sources.files import Idle, open_files
from kapok.nodes.sources.postgres import Server
from kapok.nodes.sources.version import FileDigests, VersionKey

__all__ = ["Reading", "Table"]

_CHANGED = "the source changed while it was read"


@dataclass(slots=True)
class Reading:
    """A table while it is read.

    Attributes:
        engine: Answers SELECTs over ``source``; None when the table is not fit.
        version: Of the data, 64 hexadecimal digits.
        steady: Set when the block ends: whether the source stayed what it was, and answered.
        unfit: Why nothing of the table can be used, for the holder's own log; empty when all is well.
    """

    engine: SourceEngine | None
    version: str
    steady: bool = False
    unfit: tuple[str, ...] = ()


class Table:
    """A dataset's schema over one source."""

    def __init__(
        self, dataset: Dataset, source: SourceSettings, limits: EngineLimits, key: VersionKey
    ) -> None:
        self.dataset = dataset
        self.source = source
        self._key = key
        self._open: Callable[[], contextlib.AbstractContextManager[SourceEngine]]
        if isinstance(source, PostgresSource):
            read = [source.rename.get(column.name, column.name) for column in dataset.columns]
            self._open = Server(source, read, limits, key).open
        else:
            self._open = partial(open_files, source, limits, key, FileDigests(), Idle())
        self._lock = threading.Lock()
        self._checked: tuple[str, TableReport] | None = None

    @property
    def unread(self) -> str:
        """The version of a table that cannot be read."""
        return self._key.version(b"", None)

    def check(self) -> TableReport:
        """Check the whole table; once for each version."""
        try:
            with self._open() as engine:
                report = replace(self._report(engine), unfiltered=count_unfiltered(engine))
                return (
                    report if engine.steady() else TableReport(None, (Problem(f"{_CHANGED}; check again"),))
                )
        except Unreadable as error:
            return TableReport.unread(error)

    @contextlib.contextmanager
    def reading(self) -> Iterator[Reading]:
        """Open the table for one contribution. Never raises because of data."""
        reading = Reading(None, self.unread)
        with contextlib.ExitStack() as stack:
            opened = None
            try:
                opened = stack.enter_context(self._open())
                reading.version = opened.version
                report = self._report(opened)
                reading.unfit = tuple(problem.reason for problem in report.problems)
                if report.ok:
                    define_source(self.dataset, self.source, opened)
                    reading.engine = opened
            except Unreadable as error:
                reading.unfit = (error.reason,)
            yield reading
            if opened is not None and opened.failure:
                reading.unfit = (opened.failure,)
            elif opened is not None and not opened.steady():
                reading.unfit = (_CHANGED,)
            reading.steady = not reading.unfit

    def _report(self, engine: SourceEngine) -> TableReport:
        """The check of the version that is open; one that could not read it is done again the next time."""
        with self._lock:
            if self._checked and self._checked[0] == engine.version:
                return self._checked[1]
            report = check_table(self.dataset, self.source, engine)
            if report.rows is not None and engine.steady():
                self._checked = (engine.version, report)
            return report
