"""Datasets and who has joined them: kept as signed, shown to every enrolled party. Synchronous."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kapok.broker.computation.context import Context
from kapok.broker.computation.statements import check_signer
from kapok.broker.store import Transaction
from kapok.broker.store.schema import DatasetRow
from kapok.documents.dataset import DATASET_TYP, Dataset
from kapok.documents.envelope import decode, document_id
from kapok.documents.statements import MEMBERSHIP_TYP, Membership
from kapok.errors import BudgetExhausted, IdentityInvalid, NotAuthorised, NotFound
from kapok.identity.names import PartyName, Role
from kapok.wire.messages import CatalogueEntry

__all__ = ["Catalogue"]


class Catalogue:
    """The logic of datasets and memberships over one store.

    Args:
        context: Store, verifier, clock and limits.
        connected: Whether a node is connected just now.
    """

    def __init__(self, context: Context, connected: Callable[[str], bool]) -> None:
        self._context = context
        self._connected = connected

    def publish(self, caller: PartyName, token: str) -> str:
        """Keep a signed dataset document; return its hash.

        Its first publisher stays its publisher as long as the signature that is kept verifies. Publishing the
        same document again replaces that signature, so that it outlives the publisher's certificate.

        Raises:
            IdentityInvalid: the signature does not hold.
            PeerProtocolError: ``not_the_signer``.
            InvalidInput: ``bad_dataset``.
            BudgetExhausted: ``too_many_datasets`` of this publisher.
        """
        signed = self._context.verifier.verify(DATASET_TYP, token)
        check_signer(caller, signed.signer.name)
        dataset = Dataset.from_payload(signed.payload)
        dataset_hash = document_id(signed.payload)
        with self._context.step() as step:
            known = step.tx.catalogue.dataset(dataset_hash)
            if known is not None and known.publisher == str(caller):
                known.document = token
                return dataset_hash
            if known is not None and self._verifies(known):
                return dataset_hash
            if step.tx.catalogue.published_by(str(caller)) >= self._context.limits.datasets_max:
                raise BudgetExhausted(
                    f"{caller} has published as many datasets as this broker takes from one party",
                    code="too_many_datasets",
                    remedy="ask the broker's operator for more room",
                )
            if known is not None:
                known.document, known.publisher = token, str(caller)
                return dataset_hash
            row = DatasetRow(hash=dataset_hash, name=dataset.name, document=token, publisher=str(caller))
            row.published_at = step.now
            step.tx.catalogue.add(row)
        return dataset_hash

    def hashes(self, name: str | None) -> Sequence[str]:
        """Of all datasets, or of those of that name, oldest first."""
        with self._context.store.snapshot() as tx:
            return tx.catalogue.hashes(name)

    def dataset(self, dataset_hash: str) -> CatalogueEntry:
        """One dataset.

        Raises:
            NotFound: ``unknown_dataset``.
        """
        with self._context.store.snapshot() as tx:
            row = tx.catalogue.dataset(dataset_hash)
            if row is None:
                raise _unknown()
            return self._entry(tx, row)

    def join(self, caller: PartyName, token: str) -> None:
        """Keep a node's signed membership, in place of an older one of the same node.

        Raises:
            IdentityInvalid: the signature does not hold.
            PeerProtocolError: ``not_the_signer`` or ``bad_statement``.
            NotAuthorised: ``wrong_role``.
            NotFound: ``unknown_dataset``.
        """
        signed = self._context.verifier.verify(MEMBERSHIP_TYP, token)
        check_signer(caller, signed.signer.name)
        if caller.role is not Role.NODE:
            raise NotAuthorised(
                f"a {caller.role} cannot join a dataset",
                code="wrong_role",
                party=str(caller),
                remedy="join it with a node: name the dataset in its node.toml",
            )
        membership = decode(Membership, signed.payload, party=str(caller))
        with self._context.step() as step:
            if step.tx.catalogue.dataset(membership.dataset) is None:
                raise _unknown()
            step.tx.catalogue.join(membership.dataset, str(caller), token, step.now)

    def _verifies(self, row: DatasetRow) -> bool:
        """Whether a kept document's signature still holds: certificates expire."""
        try:
            self._context.verifier.verify(DATASET_TYP, row.document)
        except IdentityInvalid:
            return False
        return True

    def _entry(self, tx: Transaction, row: DatasetRow) -> CatalogueEntry:
        memberships = tx.catalogue.memberships(row.hash)
        return CatalogueEntry(
            document=row.document,
            memberships=tuple(member.token for member in memberships),
            connected=tuple(member.node for member in memberships if self._connected(member.node)),
        )


def _unknown() -> NotFound:
    return NotFound(
        "the broker knows no dataset of that hash",
        code="unknown_dataset",
        remedy="see `kapok dataset list`, or publish it first",
    )
