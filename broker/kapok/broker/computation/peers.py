"""The broker processes on one store: each says that it is alive and which nodes it has, and sees who else is.

What must be right is held by transactions, which come one after the other. This only spares work and words: a
process that is silent for too long is taken for dead, its leases end, and its unfinished uploads are
forgotten. One that was wrongly taken for dead enters again, and its nodes send again what they had begun.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Final

from kapok.broker.computation.context import Context

__all__ = ["SILENT_S", "beat", "enter", "leave", "note_alive"]

SILENT_S: Final = 6.0
"""A process that was not seen for so long is taken for dead."""

_log = logging.getLogger(__name__)


def enter(context: Context) -> None:
    """Begin, and forget the dead with the uploads that came to them: on SQLite, everybody else."""
    with context.step() as step:
        brokers = step.tx.brokers
        brokers.seen(context.broker)
        brokers.forget(brokers.silent(SILENT_S) if context.store.shared else brokers.others(context.broker))
        brokers.delete_orphans()


def beat(context: Context, nodes: Collection[str]) -> frozenset[str]:
    """Say that this process is alive and has these nodes; return the nodes that others have.

    Raises:
        Unavailable: ``store_unavailable``.
    """
    with context.step() as step:
        brokers = step.tx.brokers
        brokers.seen(context.broker)
        brokers.present(context.broker, nodes)
        if dead := brokers.silent(SILENT_S):
            brokers.forget(dead)
            brokers.delete_orphans()
            _log.warning("a broker on this store is silent, and taken for dead", extra={"brokers": len(dead)})
        return brokers.present_elsewhere(context.broker)


def note_alive(context: Context) -> None:
    """Say that this process is alive.

    Raises:
        Unavailable: ``store_unavailable``.
    """
    with context.step() as step:
        step.tx.brokers.seen(context.broker)


def leave(context: Context) -> None:
    """End: the others need not wait until this process is taken for dead."""
    with context.step() as step:
        step.tx.brokers.forget([context.broker])
