"""Queries over reopenings of cohorts, their signatures and nodes' answers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy import bindparam, delete, func, select

from kapok.broker.store.rows import Rows, all_of
from kapok.broker.store.schema import ReopeningNodeRow, ReopeningRow, ReopeningSignatureRow
from kapok.documents.reopening import SignedReopening
from kapok.persistence import Prepared

__all__ = ["ReopeningTable"]

_NEWEST_FIRST: Final = (
    all_of(ReopeningRow).order_by(ReopeningRow.proposed_at.desc(), ReopeningRow.id).limit(bindparam("most"))
)
_NEWEST: Final = Prepared(_NEWEST_FIRST)
_NEWEST_OF_DATASET: Final = Prepared(_NEWEST_FIRST.where(ReopeningRow.dataset == bindparam("dataset")))
_SIGNATURES: Final = Prepared(
    select(ReopeningSignatureRow.officer, ReopeningSignatureRow.token)
    .where(ReopeningSignatureRow.reopening == bindparam("reopening"))
    .order_by(ReopeningSignatureRow.signed_at, ReopeningSignatureRow.officer)
)
_NODES: Final = Prepared(all_of(ReopeningNodeRow).where(ReopeningNodeRow.reopening == bindparam("reopening")))
_OWED: Final = Prepared(
    select(ReopeningRow.id, ReopeningNodeRow.node)
    .join(ReopeningNodeRow, ReopeningNodeRow.reopening == ReopeningRow.id)
    .where(
        ReopeningRow.complete.is_(True),
        ReopeningRow.expires > bindparam("now"),
        ReopeningNodeRow.accepted.is_(False),
    )
    .order_by(ReopeningRow.serial, ReopeningRow.id)
)
_UNSIGNED: Final = Prepared(
    select(func.count())
    .select_from(ReopeningRow)
    .where(ReopeningRow.proposer == bindparam("organisation"), ReopeningRow.complete.is_(False))
)
_FORGET_UNSIGNED: Final = Prepared(
    delete(ReopeningRow).where(ReopeningRow.complete.is_(False), ReopeningRow.expires <= bindparam("expired"))
)


class ReopeningTable:
    """Reopenings, within one transaction."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def add(self, row: ReopeningRow, nodes: Sequence[str]) -> None:
        """Keep a new reopening, and whom it concerns."""
        self._rows.add(row)
        for node in nodes:
            self._rows.add(ReopeningNodeRow(reopening=row.id, node=node, accepted=False))

    def get(self, reopening_id: str) -> ReopeningRow | None:
        """The reopening of that id, if there is one."""
        return self._rows.get(ReopeningRow, reopening_id)

    def of(self, dataset: str | None, most: int) -> Sequence[ReopeningRow]:
        """The newest reopenings of a dataset's cohorts, or of all, newest first."""
        if dataset is None:
            return self._rows.found(ReopeningRow, _NEWEST, {"most": most})
        return self._rows.found(ReopeningRow, _NEWEST_OF_DATASET, {"most": most, "dataset": dataset})

    def sign(self, reopening_id: str, officer: str, token: str, now: float) -> None:
        """Keep an officer's signature in place of an older one of the same officer."""
        row = self._rows.get(ReopeningSignatureRow, reopening_id, officer)
        if row is None:
            signed = {"reopening": reopening_id, "officer": officer}
            self._rows.add(ReopeningSignatureRow(**signed, token=token, signed_at=now))
        else:
            row.token, row.signed_at = token, now

    def signatures(self, reopening_id: str) -> dict[str, str]:
        """The signature of each officer who has signed, in the order of signing."""
        return dict(self._rows.tuples(_SIGNATURES, {"reopening": reopening_id}))

    def document(self, row: ReopeningRow) -> SignedReopening:
        """A reopening with the signatures that it has."""
        return SignedReopening(row.payload, tuple(self.signatures(row.id).values()))

    def nodes(self, reopening_id: str) -> Sequence[ReopeningNodeRow]:
        """Whom a reopening concerns, by name."""
        found = self._rows.found(ReopeningNodeRow, _NODES, {"reopening": reopening_id})
        return sorted(found, key=lambda row: row.node.encode())

    def node(self, reopening_id: str, node: str) -> ReopeningNodeRow | None:
        """One whom it concerns."""
        return self._rows.get(ReopeningNodeRow, reopening_id, node)

    def owed_to(self, nodes: Collection[str], now: float) -> dict[str, list[ReopeningRow]]:
        """What every organisation has signed and each of these nodes has not accepted, by serial."""
        owed: dict[str, list[ReopeningRow]] = {node: [] for node in nodes}
        for reopening_id, node in self._rows.tuples(_OWED, {"now": now}):
            if node in owed and (row := self.get(reopening_id)) is not None:
                owed[node].append(row)
        return owed

    def unsigned(self, organisation: str) -> int:
        """How many reopenings officers of an organisation have proposed that others have yet to sign."""
        return int(self._rows.value(_UNSIGNED, {"organisation": organisation}))

    def forget_unsigned(self, expired: float) -> None:
        """Delete what expired before that time and was never signed by all."""
        self._rows.change(_FORGET_UNSIGNED, {"expired": expired}, kind=ReopeningRow)
