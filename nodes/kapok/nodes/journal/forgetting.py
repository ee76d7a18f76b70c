"""What a journal forgets after a time: texts, never that something was asked, nor what was released."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from kapok.nodes.journal import tables
from kapok.persistence import Connection

__all__ = ["empty_texts", "has_old_texts"]

_TEXTS: Final = ("question", "in_words", "specification", "refusal")


def has_old_texts(connection: Connection, before: float) -> bool:
    """Whether there is anything that `empty_texts` would empty."""
    return connection.value(sa.select(tables.job.c.number).where(_old(before)).limit(1)) is not None


def empty_texts(connection: Connection, before: float) -> int:
    """Empty what was asked and refused in jobs that ended before a time and released nothing.

    The rows stay: tries count for ever. What was released stays whole: it binds this node, and proves what it
    did.

    Returns:
        In how many jobs.
    """
    emptied = dict.fromkeys(_TEXTS, "")
    return connection.change(tables.job.update().where(_old(before)).values(**emptied))


def _old(before: float) -> sa.ColumnElement[bool]:
    job = tables.job
    released = job.c.job_id.in_(sa.select(tables.release.c.job_id))
    return (job.c.deadline < before) & (job.c.question != "") & ~released
