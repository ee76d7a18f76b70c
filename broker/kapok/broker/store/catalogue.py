"""Queries over datasets and memberships."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import bindparam, delete, func, select

from kapok.broker.store.rows import Rows, all_of
from kapok.broker.store.schema import DatasetRow, MembershipRow, RevocationListRow
from kapok.persistence import Prepared

__all__ = ["CatalogueTable"]

_OLDEST_FIRST: Final = select(DatasetRow.hash).order_by(DatasetRow.published_at, DatasetRow.hash)
_HASHES: Final = Prepared(_OLDEST_FIRST)
_HASHES_NAMED: Final = Prepared(_OLDEST_FIRST.where(DatasetRow.name == bindparam("name")))
_PUBLISHED: Final = Prepared(
    select(func.count()).select_from(DatasetRow).where(DatasetRow.publisher == bindparam("publisher"))
)
_OF_DATASET: Final = MembershipRow.dataset == bindparam("dataset")
_MEMBERSHIPS: Final = Prepared(all_of(MembershipRow).where(_OF_DATASET))
_JOINED: Final = Prepared(select(MembershipRow.node).where(_OF_DATASET))
_REVOCATIONS: Final = Prepared(all_of(RevocationListRow).order_by(RevocationListRow.number.desc()).limit(1))
_NO_REVOCATIONS: Final = Prepared(delete(RevocationListRow))


class CatalogueTable:
    """Datasets and who has joined them, within one transaction."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def add(self, row: DatasetRow) -> None:
        """Keep a new dataset."""
        self._rows.add(row)

    def dataset(self, dataset_hash: str) -> DatasetRow | None:
        """The dataset of that hash, if there is one."""
        return self._rows.get(DatasetRow, dataset_hash)

    def hashes(self, name: str | None) -> Sequence[str]:
        """Of all datasets, or of those of that name, oldest first."""
        if name is None:
            return self._rows.column(_HASHES)
        return self._rows.column(_HASHES_NAMED, {"name": name})

    def published_by(self, publisher: str) -> int:
        """How many datasets a party has published."""
        return int(self._rows.value(_PUBLISHED, {"publisher": publisher}))

    def join(self, dataset_hash: str, node: str, token: str, now: float) -> None:
        """Keep a node's membership in place of any older one."""
        row = self._rows.get(MembershipRow, dataset_hash, node)
        if row is None:
            self._rows.add(MembershipRow(dataset=dataset_hash, node=node, token=token, joined_at=now))
        else:
            row.token, row.joined_at = token, now

    def revocations(self) -> RevocationListRow | None:
        """The newest list of revoked certificates."""
        return self._rows.first(RevocationListRow, _REVOCATIONS)

    def replace_revocations(self, row: RevocationListRow) -> None:
        """Keep a list in place of all before."""
        self._rows.change(_NO_REVOCATIONS, kind=RevocationListRow)
        self._rows.add(row)

    def joined(self, dataset_hash: str) -> frozenset[str]:
        """The names of the nodes that have joined."""
        return frozenset(self._rows.column(_JOINED, {"dataset": dataset_hash}))

    def memberships(self, dataset_hash: str) -> Sequence[MembershipRow]:
        """The nodes that have joined, by name."""
        found = self._rows.found(MembershipRow, _MEMBERSHIPS, {"dataset": dataset_hash})
        return sorted(found, key=lambda row: row.node.encode())
