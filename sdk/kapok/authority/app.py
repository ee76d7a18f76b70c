"""Makes an authority, gives out tokens, and runs the enrolment service: here its parts are wired together.

    authority                        a person                    party
      init → root key, settings
      token ───── kapok1.… ────────▶ ───────────────────────────▶ makes its key, keeps it
      run   ◀──── TLS under the token's root: secret, PKCS #10 request ──
            ───── certificate ──────────────────────────────────▶ checks and keeps it

The authority learns who is a member, never what anybody computes. It trusts whoever shows an unspent token.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Final

from kapok.authority.handler import AuthorityHandler
from kapok.authority.register import Register
from kapok.authority.root import RootKey
from kapok.authority.service import ServiceIdentity
from kapok.authority.settings import AuthorityHome, AuthoritySettings, check_lifetime, template
from kapok.daemon import alone, stopped_by_sigterm
from kapok.errors import IdentityInvalid, InvalidInput
from kapok.identity.certificates import TrustRoot
from kapok.identity.credentials import IDENTITY_FOLDER, Credentials
from kapok.identity.expiry import warned_daily
from kapok.identity.issuing import DEFAULT_HOSTS, check_host
from kapok.identity.keyfiles import (
    passphrase_or_environment,
    read_public_file,
    replace_file,
    write_new_file,
)
from kapok.identity.names import PartyName, Role
from kapok.identity.tokens import EnrolmentToken, secret_hash
from kapok.persistence import examine_database, open_database
from kapok.wire.address import Address
from kapok.wire.server import serve_enrolment

__all__ = ["DEFAULT_LISTEN", "examine_register", "init", "open_register", "role_of", "run", "token"]

_LOG: Final = logging.getLogger(__name__)

DEFAULT_LISTEN: Final = "127.0.0.1:7440"
_MIGRATIONS: Final = "kapok.authority.migrations"
_GRACE_S: Final = 5.0
_PARTIES_SETTINGS: Final = ("node.toml", "broker.toml", "analyst.toml")

Clock = Callable[[], float]


def init(
    home: Path | str,
    trust_domain: str,
    *,
    listen: str = DEFAULT_LISTEN,
    address: str | None = None,
    hosts: Sequence[str] = (),
    broker_address: str = "",
    passphrase: str | None = None,
    clock: Clock = time.time,
) -> PartyName:
    """Make a new authority: its root, its own certificate, its register and its settings file.

    Args:
        home: Its folder.
        trust_domain: First part of every party's name.
        listen: Where it will listen, ``host:port``; port 0 for one that the system picks.
        address: Where parties reach it, ``host:port``; the same as `listen` by default.
        hosts: Further host names and IP addresses under which it is reached, besides ``localhost``,
            ``127.0.0.1`` and the host of `address`.
        broker_address: Where the broker will listen, for the tokens; may be named later.
        passphrase: Locks the private keys; else that of the environment variable ``KAPOK_PASSPHRASE``.
        clock: Seconds since the epoch.

    Returns:
        The authority's own name.

    Raises:
        InvalidInput: ``already_initialised``: nothing is ever overwritten; or what is wrong with the
            arguments.
    """
    place = AuthorityHome(Path(home))
    address = address or listen
    every_host = tuple(dict.fromkeys((*DEFAULT_HOSTS, Address.parse(address).host, *hosts)))
    settings = AuthoritySettings(
        trust_domain=trust_domain, listen=listen, address=address, hosts=every_host, broker=broker_address
    )
    _refuse_existing(place)
    secret = passphrase_or_environment(passphrase)
    root = RootKey.generate(trust_domain, clock())
    root.store(place, secret)
    with open_register(place) as register:
        ServiceIdentity(place, settings, root, register).make(secret, clock())
    text = template(trust_domain, listen, address, every_host, broker_address)
    write_new_file(place.settings_file, text.encode("utf-8"), mode=0o644)
    return settings.name


def token(
    home: Path | str,
    role: Role | str,
    organisation: str,
    name: str,
    *,
    hosts: Sequence[str] = (),
    broker_address: str | None = None,
    lifetime_s: float | None = None,
    clock: Clock = time.time,
    notice: Callable[[str], None] = lambda _text: None,
) -> str:
    """Give out a one-time token that enrols one party. Needs no private key.

    Args:
        home: The authority's folder.
        role: The party's role; any but ``authority``.
        organisation: The party's organisation.
        name: The party's own name.
        hosts: For a broker: host names and IP addresses under which it is reached; ``localhost`` and
            ``127.0.0.1`` by default, with the host of `broker_address`.
        broker_address: Where the broker listens; by default what the authority's settings say.
        lifetime_s: Seconds until it expires; by default what the authority's settings say.
        clock: Seconds since the epoch.
        notice: Told, in words, when the party is enrolled already.

    Returns:
        The token's text: a secret.

    Raises:
        InvalidInput: ``bad_role``, ``bad_party_name``, ``bad_host``, ``bad_address``, ``bad_settings``.
        NotFound: ``no_authority``, ``authority_not_running``.
    """
    place = AuthorityHome(Path(home))
    settings = place.load()
    party = PartyName(settings.trust_domain, organisation, role_of(role), name)
    broker = broker_address or settings.broker or None
    given = token_hosts(party, hosts, broker)
    lifetime_s = settings.token_lifetime_s if lifetime_s is None else check_lifetime(lifetime_s)
    root = TrustRoot.from_pem(read_public_file(place.root_certificate))
    made = EnrolmentToken.generate(place.dial_address(settings), root, party, broker)
    with open_register(place) as register:
        if register.live(party, clock()):
            notice(
                f"{party} is enrolled already: this token is for enrolling the same party again; two that "
                "run under one name disturb each other, so give a second one a NAME of its own"
            )
        register.add_token(secret_hash(made.secret), party, given, clock(), lifetime_s)
    return made.text


def token_hosts(party: PartyName, hosts: Sequence[str], broker: str | None) -> tuple[str, ...]:
    """Host names and addresses that the party's certificate will carry.

    Raises:
        InvalidInput: ``bad_host``, ``bad_address``.
    """
    dialled = Address.parse(broker).host if broker else None
    if party.role is not Role.BROKER:
        if hosts:
            raise InvalidInput(
                f"a party of role {party.role} is never called and has no host names",
                code="bad_host",
                remedy="leave --host out",
            )
        return ()
    every = (*(hosts or DEFAULT_HOSTS), *((dialled,) if dialled else ()))
    for host in every:
        check_host(host)
    return tuple(dict.fromkeys(every))


async def run(
    home: Path | str,
    *,
    ready: Callable[[str], None] = lambda _address: None,
    stop: asyncio.Event | None = None,
    passphrase: str | None = None,
    clock: Clock = time.time,
) -> None:
    """Serve enrolment until SIGTERM or until `stop` is set.

    Args:
        home: The authority's folder.
        ready: Called once with the address to dial, when calls are answered.
        stop: Ends it, where given.
        passphrase: Opens the private keys; else that of the environment variable ``KAPOK_PASSPHRASE``.
        clock: Seconds since the epoch.

    Raises:
        NotFound: ``no_authority``.
        IdentityInvalid: a key or certificate is wrong, or the passphrase.
        InvalidInput: ``already_running``, ``port_in_use``, or what is wrong with the settings.
    """
    place = AuthorityHome(Path(home))
    settings = place.load()
    secret = passphrase_or_environment(passphrase)
    root = RootKey.load(place, secret)
    if root.root.trust_domain != settings.trust_domain:
        raise IdentityInvalid(
            f"the root is that of {root.root.trust_domain}, the settings say {settings.trust_domain}",
            code="foreign_certificate",
            remedy="put the trust domain of the root back into authority.toml",
        )
    stop = stop or asyncio.Event()
    with alone(place.folder, "authority"), stopped_by_sigterm(stop), open_register(place) as register:
        ServiceIdentity(place, settings, root, register).renew(secret, clock())
        credentials = Credentials.load(place.folder, secret, role=Role.AUTHORITY, clock=clock)
        handler = AuthorityHandler(register, root, leaf_days=settings.leaf_days, clock=clock)
        running = await serve_enrolment(
            credentials.key_pem(), credentials.certificate_pem, settings.listen, handler
        )
        try:
            dial = _note_address(place, settings, running.port)
            _LOG.info("authority listens", extra={"address": running.address, "dial": dial})
            ready(dial)
            async with warned_daily(lambda: credentials, clock):
                await stop.wait()
        finally:
            await running.stop(_GRACE_S)
            _LOG.info("authority stopped", extra=asdict(running.traffic))


def role_of(role: Role | str) -> Role:
    """The role of a party that is enrolled.

    Raises:
        InvalidInput: ``bad_role``.
    """
    try:
        found = Role(role)
    except ValueError:
        found = Role.AUTHORITY
    if found is Role.AUTHORITY:
        raise InvalidInput(
            f"{str(role)!r} is not a role that is enrolled",
            code="bad_role",
            remedy="roles are " + ", ".join(known for known in Role if known is not Role.AUTHORITY),
        )
    return found


def _refuse_existing(place: AuthorityHome) -> None:
    if place.settings_file.exists():
        raise InvalidInput(
            f"there is an authority in {place.folder} already",
            code="already_initialised",
            remedy="name another folder with --home; an authority is never overwritten",
        )
    others = [name for name in _PARTIES_SETTINGS if (place.folder / name).exists()]
    if others:
        raise InvalidInput(
            f"{place.folder} is another party's folder: it holds {others[0]}",
            code="already_initialised",
            remedy="name another folder with --home, for the authority alone; leave this one as it is",
        )
    if place.root_folder.exists() or (place.folder / IDENTITY_FOLDER).exists():
        raise InvalidInput(
            f"{place.folder} holds an identity, or an authority that was not finished",
            code="already_initialised",
            remedy="name another folder with --home; if making an authority was interrupted here, nothing was"
            f" issued: remove {place.folder} and begin again",
        )


def _note_address(place: AuthorityHome, settings: AuthoritySettings, port: int) -> str:
    """Where to dial; kept in a file when the system picked the port, for the tokens given out from now on."""
    address = Address.parse(settings.address)
    if address.port:
        return str(address)
    dial = str(Address(address.host, port))
    replace_file(place.dial_file, dial.encode("ascii"), mode=0o644)
    return dial


def examine_register(place: AuthorityHome) -> None:
    """Look whether the register can be opened, and change nothing.

    Raises:
        InvalidInput: ``newer_database``, ``older_database`` or ``bad_database``.
        Unavailable: ``database_unavailable``.
    """
    examine_database(place.register_file, _MIGRATIONS, lambda _connection: None, current=True)


@contextmanager
def open_register(place: AuthorityHome) -> Iterator[Register]:
    """The authority's register, brought up to date."""
    engine = open_database(place.register_file, _MIGRATIONS)
    try:
        yield Register(engine)
    finally:
        engine.dispose()
