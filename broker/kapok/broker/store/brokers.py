"""Queries over the broker processes on one store: who is there, which nodes they have, and what each does."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from typing import Final

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from kapok.broker.store.schema import (
    BrokerRow,
    LeaseRow,
    ParametersChunkRow,
    ParametersRow,
    PresenceRow,
    SealedChunkRow,
    SealedVectorRow,
)

__all__ = ["BROKER_DIGITS", "BrokerTable"]

BROKER_DIGITS: Final = 32
"""Hexadecimal digits of a process' number."""


class BrokerTable:
    """Broker processes, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def seen(self, broker: str) -> None:
        """Note that a process is alive: one that has started, or goes on, or was taken for dead."""
        row, now = self._session.get(BrokerRow, broker), self._now()
        if row is None:
            row = BrokerRow(id=broker, seen_at=now)
            self._session.add(row)
        row.seen_at = now
        self._session.flush()

    def silent(self, for_s: float) -> Collection[str]:
        """The processes that were not seen for so many seconds."""
        return self._session.scalars(
            select(BrokerRow.id).where(BrokerRow.seen_at < self._now() - for_s)
        ).all()

    def others(self, broker: str) -> Collection[str]:
        """All processes but one."""
        return self._session.scalars(select(BrokerRow.id).where(BrokerRow.id != broker)).all()

    def forget(self, brokers: Iterable[str]) -> None:
        """Delete processes that are no more, with their leases and inquiries."""
        self._session.execute(delete(BrokerRow).where(BrokerRow.id.in_(list(brokers))))

    def delete_orphans(self) -> int:
        """Delete all uploads that are not whole and whose process is no more: nobody goes on with them.

        Returns:
            How many were sealed vectors; the others were parameters, named after their process.
        """
        of_process = func.substr(ParametersChunkRow.upload, 1, BROKER_DIGITS)
        self._session.execute(
            delete(ParametersChunkRow).where(
                ParametersChunkRow.upload.not_in(select(ParametersRow.upload)),
                of_process.not_in(select(BrokerRow.id)),
            )
        )
        orphans = select(SealedVectorRow.id).where(
            SealedVectorRow.counted.is_(False), SealedVectorRow.broker.not_in(select(BrokerRow.id))
        )
        found = self._session.scalars(orphans).all()
        if found:
            self._session.execute(delete(SealedChunkRow).where(SealedChunkRow.vector.in_(found)))
            self._session.execute(delete(SealedVectorRow).where(SealedVectorRow.id.in_(found)))
        return len(found)

    def present(self, broker: str, nodes: Collection[str]) -> None:
        """Note which nodes are connected to a process."""
        mine = PresenceRow.broker == broker
        known = set(self._session.scalars(select(PresenceRow.node).where(mine)))
        if gone := known.difference(nodes):
            self._session.execute(delete(PresenceRow).where(mine, PresenceRow.node.in_(gone)))
        if come := set(nodes) - known:
            self._session.execute(insert(PresenceRow), [{"broker": broker, "node": node} for node in come])

    def present_elsewhere(self, broker: str) -> frozenset[str]:
        """The nodes that are connected to other processes."""
        return frozenset(
            self._session.scalars(select(PresenceRow.node).where(PresenceRow.broker != broker).distinct())
        )

    def take(self, work: str, broker: str) -> bool:
        """Take a lease; return whether it is this process' now: nobody else has it."""
        if self._session.get(BrokerRow, broker) is None:
            return False  # it was taken for dead, and has not been seen since
        row = self._session.get(LeaseRow, work)
        if row is None:
            self._session.add(LeaseRow(work=work, broker=broker))
            self._session.flush()
            return True
        return row.broker == broker

    def give_back(self, work: str) -> None:
        """End a lease: the work is done."""
        self._session.execute(delete(LeaseRow).where(LeaseRow.work == work))

    def taken_elsewhere(self, broker: str) -> Collection[str]:
        """The work of which other processes have the lease."""
        return set(self._session.scalars(select(LeaseRow.work).where(LeaseRow.broker != broker)))

    def _now(self) -> float:
        """The database's clock, which is one for all processes; on SQLite that of the only one."""
        if self._session.get_bind().dialect.name == "sqlite":
            return time.time()
        return float(self._session.scalar(select(func.extract("epoch", func.clock_timestamp()))) or 0.0)
