"""From a table to this holder's words. After consent a node never fails visibly because of data.

A missing file, an unreadable one, a value out of bounds, a cast or an overflow that the engine does not
like, a file that changes while it is read: each suppresses every cell. What was suppressed and why is said in
the node's own log, without content, and nowhere else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from kapok.computations.engines import EVERY, Engine, Note, Thresholds, unheard
from kapok.errors import InvalidInput
from kapok.nodes.policy import Rule
from kapok.nodes.runner.admission import AdmittedJob
from kapok.nodes.sources import Reading
from kapok.protocols.words import WordVector

if TYPE_CHECKING:
    import pyarrow as pa

    from kapok.flower.messages import Instruction

__all__ = ["contribute"]

_log = logging.getLogger(__name__)


class _NoTable:
    """Stands where no table can be read: every question fails here, and so every cell is suppressed."""

    dialect = "duckdb"

    def fetch(self, select_sql: str) -> list[tuple[object, ...]]:  # noqa: ARG002
        """Refuse, whatever is asked."""
        raise _no_table()

    def batches(self, select_sql: str) -> Iterator[pa.RecordBatch]:  # noqa: ARG002
        """Refuse, whatever is asked."""
        raise _no_table()

    @property
    def rows(self) -> int:
        """Refuse: no app is started over nothing."""
        raise _no_table()

    def call(self, instruction: Instruction) -> bytes:  # noqa: ARG002
        """Refuse, whatever is asked."""
        raise _no_table()


def _no_table() -> InvalidInput:
    return InvalidInput(
        "there is no table to read",
        code="source_unreadable",
        remedy="see with `kapok node check` what is wrong with its source",
    )


Over = Callable[[Engine, str], Any]
"""What a computation of apps works with: made of the table's engine and the version of its data."""


def contribute(
    job: AdmittedJob, rule: Rule, parameters: Any = None, over: Over | None = None
) -> tuple[WordVector, str]:
    """Compute this holder's words and name the state of the data that they are of.

    Args:
        job: What is asked.
        rule: The policy's, with its least sizes.
        parameters: Of the round, as the computation read them; None where the question is all there is.
        over: What it computes over; the table's engine when None.
    """
    thresholds = rule.thresholds
    reading = Reading(None, job.joined.table.unread)
    words = None
    told: list[tuple[str, str]] = []
    try:
        with job.joined.table.reading() as reading:
            if reading.engine is not None:
                engine = over(reading.engine, reading.version) if over else reading.engine
                words = _words(job, parameters, engine, thresholds, lambda *said: told.append(said))
    except Exception as error:  # noqa: BLE001 - whatever it is, nobody outside may notice
        # The class alone: a library's words can quote a cell.
        _log.error("the table could not be read", extra={"job": job.job_id, "class": type(error).__name__})
    if words is None or not reading.steady:
        told = [(EVERY, why) for why in reading.unfit or ("the table could not be read",)]
        words = _words(job, parameters, _NoTable(), thresholds, unheard)
    for measure, why in told:
        _say(job, measure, why)
    return words, reading.version


def _words(job: AdmittedJob, parameters: Any, engine: Any, thresholds: Thresholds, note: Note) -> WordVector:
    asked = job.question, job.joined.dataset
    if parameters is None:
        return job.computation.contribute(*asked, engine, thresholds, note)
    return job.computation.go_on().contribute(*asked, parameters, engine, thresholds, note)


def _say(job: AdmittedJob, measure: str, why: str) -> None:
    """Tell the holder, in its own log, and nobody else: it depends on data.

    A log is read by more people than the table is. So it has the column and the kind of reason, and no count,
    group, row or value.
    """
    _log.warning(
        "suppressed",
        extra={
            "job": job.job_id,
            "asset": job.joined.asset,
            "measure": measure,
            "why": why,
            "remedy": "`kapok node check` says what the policy suppresses, and what is wrong with the table",
        },
    )
