"""Revoking a party: its certificates go on a list that the root signs, and the list goes to the broker.

The authority's own certificate opens the line to the broker; the broker hands the list on to the nodes.
Whatever is sent may be sent again: a list is as good as its number.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from kapok.authority.app import open_register, role_of
from kapok.authority.root import RootKey
from kapok.authority.settings import AuthorityHome
from kapok.errors import InvalidInput, NotFound
from kapok.identity.credentials import Credentials
from kapok.identity.keyfiles import passphrase_or_environment
from kapok.identity.names import PartyName, Role
from kapok.identity.revocation import RevocationList

__all__ = ["deliver", "revoke", "signed_list"]

Clock = Callable[[], float]


def revoke(
    home: Path | str, role: Role | str, organisation: str, name: str, *, clock: Clock = time.time
) -> tuple[PartyName, int]:
    """Revoke every certificate of a party, and end its open tokens; `signed_list` is to follow.

    Returns:
        The party's name, and how many certificates were revoked now.

    Raises:
        InvalidInput: ``bad_role`` or ``bad_party_name``.
        NotFound: ``no_authority``; ``unknown_party``: it has no certificate that could be revoked.
    """
    place = AuthorityHome(Path(home))
    party = PartyName(place.load().trust_domain, organisation, role_of(role), name)
    now = clock()
    with open_register(place) as register:
        count = register.revoke(party, now)
        if not count and str(party) not in {known for known, _ in register.revoked(now).values()}:
            raise NotFound(
                f"{party} has no certificate that is valid now",
                code="unknown_party",
                remedy="see its name: ROLE ORGANISATION NAME, as in `kapok authority token`",
            )
    return party, count


def signed_list(
    home: Path | str, *, passphrase: str | None = None, clock: Clock = time.time
) -> tuple[RevocationList, dict[int, tuple[str, float]]]:
    """Sign a new list of everything that is revoked.

    Returns:
        The list; and for each serial number in it the party's name, and when it was revoked.

    Raises:
        NotFound: ``no_authority``.
        IdentityInvalid: the root key cannot be opened.
    """
    place = AuthorityHome(Path(home))
    settings = place.load()
    root = RootKey.load(place, passphrase_or_environment(passphrase))
    now = clock()
    with open_register(place) as register:
        revoked = register.revoked(now)
        number = register.next_list(now)
    times = {serial: at for serial, (_, at) in revoked.items()}
    der = root.revocation_list(times, number=number, now=now, days=settings.revocation_days)
    return RevocationList.read(der, root.root), revoked


async def deliver(
    home: Path | str, der: bytes, address: str | None = None, *, passphrase: str | None = None
) -> str:
    """Send a list to the broker; of several on one store, one is enough. Return its address.

    Args:
        home: The authority's folder.
        der: The list.
        address: The broker's; by default what the authority's settings say.
        passphrase: Opens the private key; else that of the environment.

    Raises:
        InvalidInput: ``no_broker``: neither names one.
        KapokError: the broker cannot be reached.
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
        await broker.catalogue.publish_revocations(der)
    return address
