"""Who has joined a dataset, as their nodes signed it: each membership verified, and its key tried.

A membership that cannot be used leaves its node out, never silently: whoever reads is told which, and why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kapok.documents.envelope import decode
from kapok.documents.statements import MEMBERSHIP_TYP, Membership
from kapok.errors import InvalidInput, KapokError, PeerProtocolError
from kapok.identity.names import PartyName, Role

if TYPE_CHECKING:
    from kapok.protocols.secure_sum.params import Verifier
    from kapok.wire.messages import CatalogueEntry

__all__ = ["Member", "read_memberships"]


@dataclass(frozen=True, slots=True)
class Member:
    """A node that joined a dataset: its name, its key for tag seeds, and whether it is connected now."""

    name: PartyName
    tag_key: bytes
    connected: bool


def read_memberships(
    entry: CatalogueEntry, dataset_hash: str, verifier: Verifier
) -> tuple[tuple[Member, ...], tuple[KapokError, ...]]:
    """The members of a dataset, sorted by name, and why others that are shown are not among them.

    A node of which two memberships are shown is no member: nobody can tell which of the keys it still has.

    Args:
        entry: As the broker shows it.
        dataset_hash: Of the verified document, lower-case hex.
        verifier: Of this party.
    """
    members: dict[PartyName, Member] = {}
    unverified: list[KapokError] = []
    twice: set[PartyName] = set()
    connected = frozenset(entry.connected)
    for token in entry.memberships:
        try:
            member = _member(token, dataset_hash, connected, verifier)
        except KapokError as error:
            unverified.append(error)
            continue
        if member.name in members:
            twice.add(member.name)
        members[member.name] = member
    unverified += [_duplicate(name) for name in sorted(twice, key=str)]
    return tuple(members[name] for name in sorted(members.keys() - twice, key=str)), tuple(unverified)


def _member(token: str, dataset_hash: str, connected: frozenset[str], verifier: Verifier) -> Member:
    signed = verifier.verify(MEMBERSHIP_TYP, token)
    membership = decode(Membership, signed.payload, party=signed.signer.name)
    name = PartyName.parse(signed.signer.name)
    if membership.dataset != dataset_hash or name.role is not Role.NODE:
        raise PeerProtocolError(
            "the broker shows a membership that is not one of this dataset",
            code="foreign_membership",
            party=str(name),
        )
    _check_tag_key(membership.tag_key, name)
    return Member(name, membership.tag_key, str(name) in connected)


def _check_tag_key(tag_key: bytes, name: PartyName) -> None:
    """Whether a tag seed can be wrapped to it: found out here, where its owner can still be named."""
    from kapok.protocols.wraps import wrap

    try:
        wrap(tag_key, b"", b"")
    except InvalidInput:
        raise PeerProtocolError(
            f"nothing can be wrapped to the key with which {name} has joined",
            code="bad_tag_key",
            party=str(name),
            remedy="its people must make it join anew",
        ) from None


def _duplicate(name: PartyName) -> PeerProtocolError:
    return PeerProtocolError(
        f"the broker shows two memberships of {name}",
        code="duplicate_membership",
        party=str(name),
        remedy="an honest broker keeps only the latest: ask the broker's people",
    )
