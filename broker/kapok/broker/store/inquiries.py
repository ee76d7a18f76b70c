"""Queries over inquiries that are open just now, and the opinions that have come."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from sqlalchemy import bindparam, delete, func, select
from sqlalchemy.orm import Session

from kapok.broker.store.schema import InquiryNodeRow, InquiryRow

__all__ = ["InquiryTable"]

_TOKENS: Final = select(InquiryRow.id, InquiryRow.token).where(
    InquiryRow.id.in_(bindparam("inquiries", expanding=True))
)
# Few are open at a time: all of them are read, whoever asks.
_UNANSWERED: Final = (
    select(InquiryNodeRow.inquiry, InquiryNodeRow.node)
    .where(InquiryNodeRow.opinion.is_(None))
    .order_by(InquiryNodeRow.inquiry)
)


class InquiryTable:
    """Open inquiries, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def open(self, row: InquiryRow, nodes: Collection[str]) -> None:
        """Keep an inquiry and whom it asks."""
        self._session.add(row)
        self._session.flush()
        self._session.add_all(InquiryNodeRow(inquiry=row.id, node=node) for node in nodes)
        self._session.flush()

    def get(self, inquiry_id: str) -> InquiryRow | None:
        """The inquiry, while it is open."""
        return self._session.get(InquiryRow, inquiry_id)

    def count(self, organisation: str | None = None) -> int:
        """How many are open, of one organisation or of all."""
        query = select(func.count()).select_from(InquiryRow)
        if organisation is not None:
            query = query.where(InquiryRow.organisation == organisation)
        return self._session.scalar(query) or 0

    def owed_by(self, nodes: Collection[str]) -> dict[str, dict[str, str]]:
        """For each of these nodes the inquiries that wait for its opinion: identity and token."""
        owed: dict[str, dict[str, str]] = {node: {} for node in nodes}
        waiting = [(inquiry, node) for inquiry, node in self._session.execute(_UNANSWERED) if node in owed]
        if waiting:
            wanted = {"inquiries": list({inquiry for inquiry, _ in waiting})}
            tokens = {row.id: row.token for row in self._session.execute(_TOKENS, wanted)}
            for inquiry, node in waiting:
                owed[node][inquiry] = tokens[inquiry]
        return owed

    def asked(self, inquiry_id: str, node: str) -> InquiryNodeRow | None:
        """One whom it asks."""
        return self._session.get(InquiryNodeRow, (inquiry_id, node))

    def opinions(self, inquiry_id: str) -> dict[str, str | None]:
        """What each node that is asked has said; None while it has not."""
        query = select(InquiryNodeRow.node, InquiryNodeRow.opinion).where(
            InquiryNodeRow.inquiry == inquiry_id
        )
        return {row.node: row.opinion for row in self._session.execute(query.order_by(InquiryNodeRow.node))}

    def close(self, inquiry_id: str) -> None:
        """Forget it: nobody waits any more."""
        self._session.execute(delete(InquiryRow).where(InquiryRow.id == inquiry_id))
