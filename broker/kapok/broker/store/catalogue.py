"""Queries over datasets and memberships."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from kapok.broker.store.schema import DatasetRow, MembershipRow, RevocationListRow

__all__ = ["CatalogueTable"]


class CatalogueTable:
    """Datasets and who has joined them, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, row: DatasetRow) -> None:
        """Keep a new dataset."""
        self._session.add(row)
        self._session.flush()

    def dataset(self, dataset_hash: str) -> DatasetRow | None:
        """The dataset of that hash, if there is one."""
        return self._session.get(DatasetRow, dataset_hash)

    def datasets(self, name: str | None) -> Sequence[DatasetRow]:
        """All datasets, or those of that name, oldest first."""
        query = select(DatasetRow).order_by(DatasetRow.published_at, DatasetRow.hash)
        if name is not None:
            query = query.where(DatasetRow.name == name)
        return self._session.scalars(query).all()

    def published_by(self, publisher: str) -> int:
        """How many datasets a party has published."""
        query = select(func.count()).select_from(DatasetRow).where(DatasetRow.publisher == publisher)
        return self._session.scalar(query) or 0

    def join(self, dataset_hash: str, node: str, token: str, now: float) -> None:
        """Keep a node's membership in place of any older one."""
        row = self._session.get(MembershipRow, (dataset_hash, node))
        if row is None:
            row = MembershipRow(dataset=dataset_hash, node=node)
            self._session.add(row)
        row.token, row.joined_at = token, now
        self._session.flush()

    def revocations(self) -> RevocationListRow | None:
        """The newest list of revoked certificates."""
        query = select(RevocationListRow).order_by(RevocationListRow.number.desc()).limit(1)
        return self._session.scalar(query)

    def replace_revocations(self, row: RevocationListRow) -> None:
        """Keep a list in place of all before."""
        self._session.execute(delete(RevocationListRow))
        self._session.add(row)
        self._session.flush()

    def joined(self, dataset_hash: str) -> frozenset[str]:
        """The names of the nodes that have joined."""
        query = select(MembershipRow.node).where(MembershipRow.dataset == dataset_hash)
        return frozenset(self._session.scalars(query))

    def memberships(self, dataset_hash: str) -> Sequence[MembershipRow]:
        """The nodes that have joined, by name."""
        query = select(MembershipRow).where(MembershipRow.dataset == dataset_hash)
        return sorted(self._session.scalars(query), key=lambda row: row.node.encode())
