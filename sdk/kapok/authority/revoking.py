"""Revoking a party: its certificates go on a list that the root signs, and the list goes to the broker.

The authority's own certificate opens the line to the broker; the broker hands the list on to the nodes.
Whatever is sent may be sent again: a list is as good as its number. A register that was restored from a
copy has forgotten lists and revocations since: so the broker is asked for the list that it has, and the new
one has a larger number and all that stands in that one.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kapok.authority.app import open_register, role_of
from kapok.authority.root import RootKey
from kapok.authority.settings import AuthorityHome
from kapok.documents.statements import NONCE_BYTES
from kapok.errors import InvalidInput, NotFound, VersionMismatch
from kapok.identity.certificates import TrustRoot, certificate_from_pem
from kapok.identity.credentials import Credentials
from kapok.identity.keyfiles import passphrase_or_environment, read_public_file
from kapok.identity.names import PartyName, Role
from kapok.identity.revocation import RevocationList

if TYPE_CHECKING:
    from kapok.authority.register import Register
    from kapok.wire.channel import Connection

__all__ = ["Signed", "publish", "revoke", "signed_list"]

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Signed:
    """A list that was signed now.

    Attributes:
        list: As it is sent.
        revoked: For each serial number in it the party's name, None where the register does not know it, and
            when it was revoked, in seconds since the epoch.
    """

    list: RevocationList
    revoked: dict[int, tuple[str | None, float]]


def revoke(
    home: Path | str,
    role: Role | str,
    organisation: str,
    name: str,
    *,
    certificate: Path | None = None,
    clock: Clock = time.time,
) -> tuple[PartyName, int]:
    """Revoke every certificate of a party, and end its open tokens; `publish` is to follow.

    Args:
        home: The authority's folder.
        role: The party's.
        organisation: The party's.
        name: The party's own.
        certificate: A file with one of its certificates, which the register need not know.
        clock: Seconds since the epoch.

    Returns:
        The party's name, and how many certificates were revoked now.

    Raises:
        InvalidInput: ``bad_role`` or ``bad_party_name``; ``other_party``: the certificate is another's.
        IdentityInvalid: the certificate is none that this authority has signed and that is valid now.
        NotFound: ``no_authority``; ``unknown_party``: it has no certificate that could be revoked.
    """
    place = AuthorityHome(Path(home))
    party = PartyName(place.load().trust_domain, organisation, role_of(role), name)
    now = clock()
    with open_register(place) as register:
        if certificate is not None:
            _learn(place, register, party, certificate, now)
        count = register.revoke(party, now)
        if not count and str(party) not in {known for known, _ in register.revoked(now).values()}:
            raise NotFound(
                f"{party} has no certificate that is valid now",
                code="unknown_party",
                remedy="see its name: ROLE ORGANISATION NAME, as in `kapok authority token`; if it enrolled "
                "after the copy from which authority.db was restored, name its file: --certificate FILE",
            )
    return party, count


def signed_list(
    home: Path | str,
    after: RevocationList | None = None,
    *,
    passphrase: str | None = None,
    clock: Clock = time.time,
) -> Signed:
    """Sign a new list of everything that is revoked.

    Args:
        home: The authority's folder.
        after: A list that is out already: the new one has a larger number, and all that stands in it.
        passphrase: Opens the root key; else that of the environment.
        clock: Seconds since the epoch.

    Raises:
        NotFound: ``no_authority``.
        IdentityInvalid: the root key cannot be opened.
    """
    place = AuthorityHome(Path(home))
    settings = place.load()
    root = RootKey.load(place, passphrase_or_environment(passphrase))
    now = clock()
    with open_register(place) as register:
        strange = register.adopt(after.times()) if after is not None else {}
        revoked = {**{serial: (None, at) for serial, at in strange.items()}, **register.revoked(now)}
        number = register.next_list(now, after.number if after is not None else 0)
    times = {serial: at for serial, (_, at) in revoked.items()}
    der = root.revocation_list(times, number=number, now=now, days=settings.revocation_days)
    return Signed(RevocationList.read(der, root.root), revoked)


async def publish(
    home: Path | str, address: str | None = None, *, passphrase: str | None = None, clock: Clock = time.time
) -> tuple[str, Signed]:
    """Sign a list and send it to the broker; of several on one store, one is enough.

    Args:
        home: The authority's folder.
        address: The broker's; by default what the authority's settings say.
        passphrase: Opens the private keys; else that of the environment.
        clock: Seconds since the epoch.

    Returns:
        The broker's address, and the list.

    Raises:
        InvalidInput: ``no_broker``: neither names one.
        KapokError: the broker cannot be reached, or as `signed_list`.
    """
    from kapok.wire.channel import connect

    place = AuthorityHome(Path(home))
    address = address or place.load().broker
    if not address:
        raise InvalidInput(
            "authority.toml names no broker",
            code="no_broker",
            remedy="name it with --broker HOST:PORT, or set `broker` in authority.toml",
        )
    credentials = Credentials.load(place.folder, passphrase, role=Role.AUTHORITY)
    async with await connect(credentials, address) as broker:
        signed = signed_list(home, await _known(broker, credentials), passphrase=passphrase, clock=clock)
        await broker.catalogue.publish_revocations(signed.list.der)
    return address, signed


async def _known(broker: Connection, credentials: Credentials) -> RevocationList | None:
    """The list that a broker has: the root's, so that the broker, revoked perhaps, need prove nothing."""
    try:
        der = (await broker.catalogue.greet(secrets.token_bytes(NONCE_BYTES))).revocations
    except VersionMismatch:
        return None
    return RevocationList.read(der, credentials.root) if der else None


def _learn(place: AuthorityHome, register: Register, party: PartyName, file: Path, now: float) -> None:
    """Let a register know a certificate that was issued after the copy from which it was restored."""
    certificate = certificate_from_pem(read_public_file(file))
    found = TrustRoot.from_pem(read_public_file(place.root_certificate)).check(certificate, now)
    if found != party:
        raise InvalidInput(
            f"the certificate in {file} is that of {found}, not of {party}",
            code="other_party",
            remedy="give the one of the party that is named, or name the one whose it is",
        )
    register.learn(party, certificate, now)
