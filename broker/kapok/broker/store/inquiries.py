"""Queries over inquiries that are open just now, and the opinions that have come."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from sqlalchemy import bindparam, delete, func, select

from kapok.broker.store.rows import Rows
from kapok.broker.store.schema import InquiryNodeRow, InquiryRow
from kapok.persistence import Prepared

__all__ = ["InquiryTable"]

_OPEN: Final = select(func.count()).select_from(InquiryRow)
_COUNT: Final = Prepared(_OPEN)
_COUNT_OF_ORGANISATION: Final = Prepared(_OPEN.where(InquiryRow.organisation == bindparam("organisation")))
_TOKENS: Final = Prepared(
    select(InquiryRow.id, InquiryRow.token).where(InquiryRow.id.in_(bindparam("inquiries", expanding=True)))
)
# Few are open at a time: all of them are read, whoever asks.
_UNANSWERED: Final = Prepared(
    select(InquiryNodeRow.inquiry, InquiryNodeRow.node)
    .where(InquiryNodeRow.opinion.is_(None))
    .order_by(InquiryNodeRow.inquiry)
)
_OPINIONS: Final = Prepared(
    select(InquiryNodeRow.node, InquiryNodeRow.opinion)
    .where(InquiryNodeRow.inquiry == bindparam("inquiry"))
    .order_by(InquiryNodeRow.node)
)
_CLOSE: Final = Prepared(delete(InquiryRow).where(InquiryRow.id == bindparam("inquiry")))


class InquiryTable:
    """Open inquiries, within one transaction."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def open(self, row: InquiryRow, nodes: Collection[str]) -> None:
        """Keep an inquiry and whom it asks."""
        self._rows.add(row)
        for node in nodes:
            self._rows.add(InquiryNodeRow(inquiry=row.id, node=node))

    def get(self, inquiry_id: str) -> InquiryRow | None:
        """The inquiry, while it is open."""
        return self._rows.get(InquiryRow, inquiry_id)

    def count(self, organisation: str | None = None) -> int:
        """How many are open, of one organisation or of all."""
        if organisation is None:
            return int(self._rows.value(_COUNT))
        return int(self._rows.value(_COUNT_OF_ORGANISATION, {"organisation": organisation}))

    def owed_by(self, nodes: Collection[str]) -> dict[str, dict[str, str]]:
        """For each of these nodes the inquiries that wait for its opinion: identity and token."""
        owed: dict[str, dict[str, str]] = {node: {} for node in nodes}
        waiting = [(inquiry, node) for inquiry, node in self._rows.tuples(_UNANSWERED) if node in owed]
        if waiting:
            wanted = {"inquiries": list({inquiry for inquiry, _ in waiting})}
            tokens = dict(self._rows.tuples(_TOKENS, wanted))
            for inquiry, node in waiting:
                owed[node][inquiry] = tokens[inquiry]
        return owed

    def asked(self, inquiry_id: str, node: str) -> InquiryNodeRow | None:
        """One whom it asks."""
        return self._rows.get(InquiryNodeRow, inquiry_id, node)

    def opinions(self, inquiry_id: str) -> dict[str, str | None]:
        """What each node that is asked has said; None while it has not."""
        return dict(self._rows.tuples(_OPINIONS, {"inquiry": inquiry_id}))

    def close(self, inquiry_id: str) -> None:
        """Forget it: nobody waits any more."""
        self._rows.change(_CLOSE, {"inquiry": inquiry_id}, kind=InquiryRow)
