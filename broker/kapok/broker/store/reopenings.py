"""Queries over reopenings of cohorts, their signatures and nodes' answers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy import bindparam, delete, func, select
from sqlalchemy.orm import Session

from kapok.broker.store.schema import ReopeningNodeRow, ReopeningRow, ReopeningSignatureRow
from kapok.documents.reopening import SignedReopening

__all__ = ["ReopeningTable"]

_OWED: Final = (
    select(ReopeningRow, ReopeningNodeRow.node)
    .join(ReopeningNodeRow, ReopeningNodeRow.reopening == ReopeningRow.id)
    .where(
        ReopeningRow.complete.is_(True),
        ReopeningRow.expires > bindparam("now"),
        ReopeningNodeRow.accepted.is_(False),
    )
    .order_by(ReopeningRow.serial, ReopeningRow.id)
)


class ReopeningTable:
    """Reopenings, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, row: ReopeningRow, nodes: Sequence[str]) -> None:
        """Keep a new reopening, and whom it concerns."""
        self._session.add(row)
        self._session.flush()
        self._session.add_all(ReopeningNodeRow(reopening=row.id, node=node, accepted=False) for node in nodes)
        self._session.flush()

    def get(self, reopening_id: str) -> ReopeningRow | None:
        """The reopening of that id, if there is one."""
        return self._session.get(ReopeningRow, reopening_id)

    def of(self, dataset: str | None, most: int) -> Sequence[ReopeningRow]:
        """The newest reopenings of a dataset's cohorts, or of all, newest first."""
        query = select(ReopeningRow).order_by(ReopeningRow.proposed_at.desc(), ReopeningRow.id).limit(most)
        if dataset is not None:
            query = query.where(ReopeningRow.dataset == dataset)
        return self._session.scalars(query).all()

    def sign(self, reopening_id: str, officer: str, token: str, now: float) -> None:
        """Keep an officer's signature in place of an older one of the same officer."""
        row = self._session.get(ReopeningSignatureRow, (reopening_id, officer))
        if row is None:
            row = ReopeningSignatureRow(reopening=reopening_id, officer=officer)
            self._session.add(row)
        row.token, row.signed_at = token, now
        self._session.flush()

    def signatures(self, reopening_id: str) -> dict[str, str]:
        """The signature of each officer who has signed, in the order of signing."""
        query = select(ReopeningSignatureRow).where(ReopeningSignatureRow.reopening == reopening_id)
        query = query.order_by(ReopeningSignatureRow.signed_at, ReopeningSignatureRow.officer)
        return {row.officer: row.token for row in self._session.scalars(query)}

    def document(self, row: ReopeningRow) -> SignedReopening:
        """A reopening with the signatures that it has."""
        return SignedReopening(row.payload, tuple(self.signatures(row.id).values()))

    def nodes(self, reopening_id: str) -> Sequence[ReopeningNodeRow]:
        """Whom a reopening concerns, by name."""
        query = select(ReopeningNodeRow).where(ReopeningNodeRow.reopening == reopening_id)
        return sorted(self._session.scalars(query), key=lambda row: row.node.encode())

    def node(self, reopening_id: str, node: str) -> ReopeningNodeRow | None:
        """One whom it concerns."""
        return self._session.get(ReopeningNodeRow, (reopening_id, node))

    def owed_to(self, nodes: Collection[str], now: float) -> dict[str, list[ReopeningRow]]:
        """What every organisation has signed and each of these nodes has not accepted, by serial."""
        owed: dict[str, list[ReopeningRow]] = {node: [] for node in nodes}
        for row, node in self._session.execute(_OWED, {"now": now}):
            if node in owed:
                owed[node].append(row)
        return owed

    def unsigned(self, organisation: str) -> int:
        """How many reopenings officers of an organisation have proposed that others have yet to sign."""
        query = select(func.count()).select_from(ReopeningRow)
        query = query.where(ReopeningRow.proposer == organisation, ReopeningRow.complete.is_(False))
        return self._session.scalar(query) or 0

    def forget_unsigned(self, expired: float) -> None:
        """Delete what expired before that time and was never signed by all."""
        self._session.execute(
            delete(ReopeningRow).where(ReopeningRow.complete.is_(False), ReopeningRow.expires <= expired)
        )
