"""The catalogue as an analyst may believe it: every document in it verified here, whatever the broker says.

The broker can withhold a dataset, and then a question does not come about; or a member, who is then missed by
those who have seen it (`kapok.client.known`). It can neither change a schema (its hash is what nodes joined)
nor invent a member or a member's key (nodes sign memberships).
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import msgspec

from kapok.client.memberships import Member, read_memberships
from kapok.client.progress import SHOWN_DIGITS
from kapok.documents.dataset import DATASET_TYP, Dataset
from kapok.documents.envelope import document_id, is_digest
from kapok.errors import IdentityInvalid, InvalidInput, KapokError, NotFound, near
from kapok.identity.names import PartyName, command_to_ask

if TYPE_CHECKING:
    from kapok.protocols.secure_sum.params import Verifier
    from kapok.wire.messages import CatalogueEntry

__all__ = [
    "Member",
    "VerifiedDataset",
    "ask_the_others",
    "choose_members",
    "read_all",
    "resolve",
    "split_label",
    "verified",
]

_HASH_MARK: Final = "@"


@dataclass(frozen=True, slots=True)
class VerifiedDataset:
    """A dataset whose document and memberships have been verified.

    Attributes:
        hash: Lower-case hex.
        schema: What the document says.
        document: Its payload, the bytes that the hash is of.
        publisher: Who signed it.
        members: The nodes that joined, sorted by name.
        unverified: Why memberships that the broker showed are not among them.
    """

    hash: str
    schema: Dataset
    document: bytes
    publisher: PartyName
    members: tuple[Member, ...]
    unverified: tuple[KapokError, ...]

    @property
    def label(self) -> str:
        """Name and the beginning of the hash, as it may stand in FROM: ``heart@ab12cd34ef56``."""
        return f"{self.schema.name}{_HASH_MARK}{self.hash[:SHOWN_DIGITS]}"


def verified(entry: CatalogueEntry, verifier: Verifier) -> VerifiedDataset:
    """Verify one entry of the catalogue.

    Raises:
        IdentityInvalid: the document's signature does not hold.
        InvalidInput: ``bad_dataset``: the document is no schema that can be used.
    """
    return _with_members(_document(entry, verifier), entry, verifier)


def _document(entry: CatalogueEntry, verifier: Verifier) -> VerifiedDataset:
    """The document alone: what a name is looked up in, before anybody's membership matters."""
    signed = verifier.verify(DATASET_TYP, entry.document)
    return VerifiedDataset(
        hash=document_id(signed.payload),
        schema=Dataset.from_payload(signed.payload),
        document=signed.payload,
        publisher=PartyName.parse(signed.signer.name),
        members=(),
        unverified=(),
    )


def _with_members(dataset: VerifiedDataset, entry: CatalogueEntry, verifier: Verifier) -> VerifiedDataset:
    members, unverified = read_memberships(entry, dataset.hash, verifier)
    return replace(dataset, members=members, unverified=unverified)


def read_all(
    entries: Sequence[CatalogueEntry], verifier: Verifier
) -> tuple[list[VerifiedDataset], list[KapokError]]:
    """The entries that verify, and why others do not: one bad document does not hide the rest."""
    known: list[VerifiedDataset] = []
    errors: list[KapokError] = []
    for entry in entries:
        try:
            known.append(verified(entry, verifier))
        except KapokError as error:
            errors.append(error)
    return known, errors


def split_label(text: str) -> tuple[str, str | None]:
    """Name and beginning of the hash of ``heart`` or ``heart@ab12cd``."""
    name, _mark, digits = text.partition(_HASH_MARK)
    return name, digits or None


def resolve(
    name: str, digits: str | None, entries: Sequence[CatalogueEntry], verifier: Verifier
) -> VerifiedDataset:
    """The one dataset that a question names.

    Where several have the name and nothing says which, it means the one that nodes have joined, if that is
    one alone: else whoever publishes a schema of that name would make everybody's questions ambiguous.

    Args:
        name: ``heart``; or a whole hash, and no digits.
        digits: The beginning of its hash, or None.
        entries: What the catalogue has: all of it, so that near names can be shown.
        verifier: Of this party.

    Raises:
        NotFound: ``unknown_dataset``.
        InvalidInput: ``ambiguous_dataset``: several have this name; the remedy lists them.
        IdentityInvalid: it is not there but for a document whose signature does not hold.
    """
    if not digits and is_digest(name.lower()):
        return _of_hash(name.lower(), entries, verifier)
    wanted = f"{name}{_HASH_MARK}{digits}" if digits else name
    prefix = (digits or "").lower()
    known: list[tuple[VerifiedDataset, CatalogueEntry]] = []
    unusable: list[tuple[str, KapokError]] = []
    for entry in entries:
        try:
            known.append((_document(entry, verifier), entry))
        except KapokError as error:
            unusable.append((entry.document, error))
    named = [one for one in known if one[0].schema.name == name]
    found = [one for one in named if one[0].hash.startswith(prefix)]
    if not found:
        for document, why in unusable:
            if _claims(document, name, prefix):
                raise _does_not_verify(wanted, why)
        raise _unknown(
            wanted, [one.label for one, _ in named] or sorted({one.schema.name for one, _ in known})
        )
    if len(found) > 1 and not digits:
        # A membership counts whether it verifies or not: one that expired must not change which is meant.
        joined = [one for one in found if one[1].memberships]
        found = joined if len(joined) == 1 else found
    if len(found) > 1:
        labels = ", ".join(f'"{one.label}" ({one.publisher.organisation})' for one, _ in found)
        raise InvalidInput(
            f"{len(found)} datasets are named {wanted}",
            code="ambiguous_dataset",
            remedy=f'say which one by its hash, as in FROM "{found[0][0].label}"; there are {labels}',
        )
    return _with_members(*found[0], verifier)


def _of_hash(digest: str, entries: Sequence[CatalogueEntry], verifier: Verifier) -> VerifiedDataset:
    for entry in entries:
        try:
            dataset = _document(entry, verifier)
        except KapokError:
            continue
        if dataset.hash == digest:
            return _with_members(dataset, entry, verifier)
    raise _unknown(digest, [])


class _Claim(msgspec.Struct):
    """What a document says of itself, believed by nobody."""

    name: str


def _claims(document: str, name: str, prefix: str) -> bool:
    """Whether a document that does not verify would be this dataset, if it did."""
    try:
        segment = document.split(".")[1]
        payload = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
        claim = msgspec.json.decode(payload, type=_Claim)
    except (IndexError, ValueError, RecursionError):
        return False
    return claim.name == name and document_id(payload).startswith(prefix)


def _does_not_verify(wanted: str, error: KapokError) -> KapokError:
    if not isinstance(error, IdentityInvalid):
        return error
    return IdentityInvalid(
        f"{wanted} is in the catalogue and does not verify: {error.message}",
        code=error.code,
        party=error.party,
        remedy="its publisher renews its certificate and publishes the same file again",
    )


def _unknown(wanted: str, known: Sequence[str]) -> NotFound:
    meant = near(wanted, known)
    guess = f"did you mean {meant[0]}? " if meant else ""
    there = ", ".join(known[:20]) if known else "none is published yet"
    return NotFound(
        f"there is no dataset {wanted}",
        code="unknown_dataset",
        remedy=f"{guess}datasets that are there: {there} (`kapok dataset list`)",
    )


def choose_members(dataset: VerifiedDataset, parties: Sequence[str] | None) -> tuple[Member, ...]:
    """The nodes that a question is put to: all that joined, or those of the organisations that were named.

    Args:
        dataset: As the catalogue has it.
        parties: Organisations, by short name (``cleveland``) or in full (``spiffe://…/org/cleveland``).

    Raises:
        NotFound: ``unknown_party``: an organisation has no node that joined; ``no_members``: none has joined.
        IdentityInvalid: a node that joined cannot be verified, and nobody said whom to ask instead.
        PeerProtocolError: ``bad_tag_key``, ``duplicate_membership`` or ``foreign_membership``: likewise.
    """
    if parties is None:
        if dataset.unverified:
            raise _cannot_ask(dataset.unverified[0], dataset)
        if not dataset.members:
            raise NotFound(
                f"no node has joined {dataset.label} yet",
                code="no_members",
                remedy=f"holders join by naming {dataset.hash} in their node.toml",
            )
        return dataset.members
    chosen: dict[str, Member] = {}
    for party in parties:
        found = [one for one in dataset.members if party in (one.name.organisation, one.name.organisation_id)]
        for error in dataset.unverified:
            if party in _organisations_of(error.party):
                raise _cannot_ask(error, dataset)
        if not found:
            there = sorted({one.name.organisation for one in dataset.members})
            raise NotFound(
                f"no node of {party} has joined {dataset.label}",
                code="unknown_party",
                remedy="organisations that have: " + (", ".join(there) or "none"),
            )
        chosen |= {str(one.name): one for one in found}
    return tuple(chosen[name] for name in sorted(chosen))


def _cannot_ask(error: KapokError, dataset: VerifiedDataset) -> KapokError:
    """Why a node cannot be asked; with how to ask the others, for nobody is left out silently."""
    remedy = error.remedy
    if isinstance(error, IdentityInvalid):
        remedy = "ask its people to renew its certificate and restart it"
    return type(error)(
        f"a node's membership cannot be used: {error.message}",
        code=error.code,
        party=error.party,
        remedy="; ".join(filter(None, (remedy, ask_the_others(dataset, error.party)))),
    )


def ask_the_others(dataset: VerifiedDataset, without: str | None) -> str:
    """How to put a question, on the command line, to the organisations alone of which all nodes can be asked.

    Args:
        dataset: Whose members.
        without: A node whose organisation is left out.
    """
    out = [_organisations_of(party) for party in (without, *(error.party for error in dataset.unverified))]
    others = {one.name.organisation for one in dataset.members} - {name for names in out for name in names}
    return f"to ask the others alone: {command_to_ask(others)}" if others else ""


def _organisations_of(party: str | None) -> tuple[str, ...]:
    """An organisation's two names, short and in full, if this is a party's name."""
    try:
        name = PartyName.parse(party or "")
    except InvalidInput:
        return ()
    return name.organisation, name.organisation_id
