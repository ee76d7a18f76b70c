"""The catalogue as an analyst may believe it: every document in it verified here, whatever the broker says.

The broker can withhold a dataset or a member, and then a question does not come about. It can neither change
a schema (its hash is what nodes joined) nor invent a member or a member's key (nodes sign memberships).
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kapok.documents.dataset import DATASET_TYP, Dataset
from kapok.documents.envelope import decode, document_id
from kapok.documents.statements import MEMBERSHIP_TYP, Membership
from kapok.errors import IdentityInvalid, InvalidInput, KapokError, NotFound, PeerProtocolError
from kapok.identity.names import PartyName, Role

if TYPE_CHECKING:
    from kapok.protocols.secure_sum.params import Verifier
    from kapok.wire.messages import CatalogueEntry

__all__ = ["Member", "VerifiedDataset", "choose_members", "read_all", "resolve", "split_label", "verified"]

_HASH_MARK: Final = "@"
_SHOWN_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class Member:
    """A node that joined a dataset: its name, its key for tag seeds, and whether it is connected now."""

    name: PartyName
    tag_key: bytes
    connected: bool


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
        return f"{self.schema.name}{_HASH_MARK}{self.hash[:_SHOWN_DIGITS]}"


def verified(entry: CatalogueEntry, verifier: Verifier) -> VerifiedDataset:
    """Verify one entry of the catalogue.

    Raises:
        IdentityInvalid: the document's signature does not hold.
        InvalidInput: ``bad_dataset``: the document is no schema that can be used.
    """
    signed = verifier.verify(DATASET_TYP, entry.document)
    digest = document_id(signed.payload)
    members: dict[PartyName, Member] = {}
    unverified: list[KapokError] = []
    for token in entry.memberships:
        try:
            member = _member(token, digest, frozenset(entry.connected), verifier)
        except KapokError as error:
            unverified.append(error)
            continue
        if member.name in members and members[member.name].tag_key != member.tag_key:
            unverified.append(_two_keys(member.name))
        members[member.name] = member
    return VerifiedDataset(
        hash=digest,
        schema=Dataset.from_payload(signed.payload),
        document=signed.payload,
        publisher=PartyName.parse(signed.signer.name),
        members=tuple(members[name] for name in sorted(members, key=str)),
        unverified=tuple(unverified),
    )


def _member(token: str, digest: str, connected: frozenset[str], verifier: Verifier) -> Member:
    signed = verifier.verify(MEMBERSHIP_TYP, token)
    membership = decode(Membership, signed.payload)
    name = PartyName.parse(signed.signer.name)
    if membership.dataset != digest or name.role is not Role.NODE:
        raise PeerProtocolError(
            "the broker shows a membership that is not one of this dataset",
            code="foreign_membership",
            party=str(name),
        )
    return Member(name, membership.tag_key, str(name) in connected)


def _two_keys(name: PartyName) -> PeerProtocolError:
    return PeerProtocolError(
        "the broker shows two memberships of one node with different keys",
        code="two_memberships",
        party=str(name),
        remedy="ask the node's people to restart it, so that it joins anew",
    )


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

    Args:
        name: ``heart``.
        digits: The beginning of its hash, or None.
        entries: What the catalogue has: all of it, so that near names can be shown.
        verifier: Of this party.

    Raises:
        NotFound: ``unknown_dataset``.
        InvalidInput: ``ambiguous_dataset``: several have this name; the remedy lists them.
        KapokError: it is not there, and a document that may be it does not verify.
    """
    wanted = f"{name}{_HASH_MARK}{digits}" if digits else name
    known, errors = read_all(entries, verifier)
    named = [one for one in known if one.schema.name == name]
    found = [one for one in named if one.hash.startswith((digits or "").lower())]
    if not found and errors:
        raise errors[0]
    if not found:
        raise _unknown(wanted, [one.label for one in named] or sorted({one.schema.name for one in known}))
    if len(found) > 1:
        labels = ", ".join(f'"{one.label}" ({one.publisher.organisation})' for one in found)
        raise InvalidInput(
            f"{len(found)} datasets are named {wanted}",
            code="ambiguous_dataset",
            remedy=f'say which one by its hash, as in FROM "{found[0].label}"; there are {labels}',
        )
    return found[0]


def _unknown(wanted: str, known: Sequence[str]) -> NotFound:
    near = difflib.get_close_matches(wanted, known, n=1)
    guess = f"did you mean {near[0]}? " if near else ""
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
    """
    if parties is None:
        if dataset.unverified:
            raise _cannot_verify(dataset.unverified[0])
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
        if not found:
            there = sorted({one.name.organisation for one in dataset.members})
            raise NotFound(
                f"no node of {party} has joined {dataset.label}",
                code="unknown_party",
                remedy="organisations that have: " + (", ".join(there) or "none"),
            )
        chosen |= {str(one.name): one for one in found}
    return tuple(chosen[name] for name in sorted(chosen))


def _cannot_verify(error: KapokError) -> KapokError:
    if isinstance(error, PeerProtocolError):
        return error
    return IdentityInvalid(
        f"a node's membership does not verify: {error.message}",
        code=error.code,
        party=error.party,
        remedy="ask its people to renew its certificate and restart it, or name whom to ask with --party",
    )
