"""Queries over the broker processes on one store: who is there, which nodes they have, and what each does."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from typing import Final

from sqlalchemy import bindparam, delete, func, select

from kapok.broker.store.rows import Rows
from kapok.broker.store.schema import (
    BrokerRow,
    LeaseRow,
    ParametersChunkRow,
    ParametersRow,
    PresenceRow,
    SealedChunkRow,
    SealedVectorRow,
)
from kapok.persistence import Prepared

__all__ = ["BROKER_DIGITS", "BrokerTable"]

BROKER_DIGITS: Final = 32
"""Hexadecimal digits of a process' number."""

_OTHERS: Final = Prepared(select(BrokerRow.id).where(BrokerRow.id != bindparam("broker")))
_SILENT: Final = Prepared(select(BrokerRow.id).where(BrokerRow.seen_at < bindparam("before")))
_FORGET: Final = Prepared(delete(BrokerRow).where(BrokerRow.id.in_(bindparam("brokers", expanding=True))))
_DATABASES_CLOCK: Final = Prepared(select(func.extract("epoch", func.clock_timestamp())))

_DELETE_LOST_PARAMETERS: Final = Prepared(
    delete(ParametersChunkRow).where(
        ParametersChunkRow.upload.not_in(select(ParametersRow.upload)),
        func.substr(ParametersChunkRow.upload, 1, BROKER_DIGITS).not_in(select(BrokerRow.id)),
    )
)
_LOST_VECTORS: Final = Prepared(
    select(SealedVectorRow.id).where(
        SealedVectorRow.counted.is_(False), SealedVectorRow.broker.not_in(select(BrokerRow.id))
    )
)
_DELETE_CHUNKS: Final = Prepared(
    delete(SealedChunkRow).where(SealedChunkRow.vector.in_(bindparam("vectors", expanding=True)))
)
_DELETE_VECTORS: Final = Prepared(
    delete(SealedVectorRow).where(SealedVectorRow.id.in_(bindparam("vectors", expanding=True)))
)

_OF_BROKER: Final = PresenceRow.broker == bindparam("of_broker")
_PRESENT: Final = Prepared(select(PresenceRow.node).where(_OF_BROKER))
_GONE: Final = Prepared(
    delete(PresenceRow).where(_OF_BROKER, PresenceRow.node.in_(bindparam("nodes", expanding=True)))
)
_PRESENT_ELSEWHERE: Final = Prepared(
    select(PresenceRow.node).where(PresenceRow.broker != bindparam("of_broker")).distinct()
)

_GIVE_BACK: Final = Prepared(delete(LeaseRow).where(LeaseRow.work == bindparam("of_work")))
_TAKEN_ELSEWHERE: Final = Prepared(select(LeaseRow.work).where(LeaseRow.broker != bindparam("of_broker")))


class BrokerTable:
    """Broker processes, within one transaction."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def seen(self, broker: str) -> None:
        """Note that a process is alive: one that has started, or goes on, or was taken for dead."""
        row, now = self._rows.get(BrokerRow, broker), self._now()
        if row is None:
            self._rows.add(BrokerRow(id=broker, seen_at=now))
        else:
            row.seen_at = now

    def silent(self, for_s: float) -> Collection[str]:
        """The processes that were not seen for so many seconds."""
        return self._rows.column(_SILENT, {"before": self._now() - for_s})

    def others(self, broker: str) -> Collection[str]:
        """All processes but one."""
        return self._rows.column(_OTHERS, {"broker": broker})

    def forget(self, brokers: Iterable[str]) -> None:
        """Delete processes that are no more, with their leases and inquiries."""
        self._rows.change(_FORGET, {"brokers": list(brokers)}, kind=BrokerRow)

    def delete_orphans(self) -> int:
        """Delete all uploads that are not whole and whose process is no more: nobody goes on with them.

        Returns:
            How many were sealed vectors; the others were parameters, named after their process.
        """
        self._rows.change(_DELETE_LOST_PARAMETERS)
        found = self._rows.column(_LOST_VECTORS)
        if found:
            self._rows.change(_DELETE_CHUNKS, {"vectors": found})
            self._rows.change(_DELETE_VECTORS, {"vectors": found}, kind=SealedVectorRow)
        return len(found)

    def present(self, broker: str, nodes: Collection[str]) -> None:
        """Note which nodes are connected to a process."""
        known = set(self._rows.column(_PRESENT, {"of_broker": broker}))
        if gone := known.difference(nodes):
            self._rows.change(_GONE, {"of_broker": broker, "nodes": list(gone)})
        self._rows.add_each(PresenceRow, [{"broker": broker, "node": node} for node in set(nodes) - known])

    def present_elsewhere(self, broker: str) -> frozenset[str]:
        """The nodes that are connected to other processes."""
        return frozenset(self._rows.column(_PRESENT_ELSEWHERE, {"of_broker": broker}))

    def take(self, work: str, broker: str) -> bool:
        """Take a lease; return whether it is this process' now: nobody else has it."""
        if self._rows.get(BrokerRow, broker) is None:
            return False  # it was taken for dead, and has not been seen since
        row = self._rows.get(LeaseRow, work)
        if row is None:
            self._rows.add(LeaseRow(work=work, broker=broker))
            return True
        return row.broker == broker

    def give_back(self, work: str) -> None:
        """End a lease: the work is done."""
        self._rows.change(_GIVE_BACK, {"of_work": work}, kind=LeaseRow)

    def taken_elsewhere(self, broker: str) -> Collection[str]:
        """The work of which other processes have the lease."""
        return set(self._rows.column(_TAKEN_ELSEWHERE, {"of_broker": broker}))

    def _now(self) -> float:
        """The database's clock, which is one for all processes; on SQLite that of the only one."""
        return time.time() if self._rows.dialect == "sqlite" else float(self._rows.value(_DATABASES_CLOCK))
