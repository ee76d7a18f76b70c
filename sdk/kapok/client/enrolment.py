"""Enrolling: how a party of any role comes by its identity.

    party                                authority
     makes its key, keeps it
     ── TLS, under the token's root ─▶
     ── secret, PKCS #10 request ────▶   spends the token
     ◀─ certificate ─────────────────    the same one again, if the answer was lost
     checks and keeps it

The private key never leaves this machine. It is on disk before the token is spent, so that whoever is
interrupted gives the same token again.
"""

from __future__ import annotations

import asyncio
import importlib.resources
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kapok.errors import IdentityInvalid, InvalidInput
from kapok.identity.certificates import certificate_from_der
from kapok.identity.credentials import CERTIFICATE_FILE, IDENTITY_FOLDER, KEY_FILE, ROOT_FILE, Credentials
from kapok.identity.issuing import certificate_request
from kapok.identity.keyfiles import (
    decode_key,
    encode_key,
    generate_key,
    make_private_folder,
    passphrase_or_environment,
    read_private_file,
    replace_file,
    write_new_file,
)
from kapok.identity.names import PartyName, Role
from kapok.identity.tokens import EnrolmentToken
from kapok.wire.address import Address
from kapok.wire.channel import enrol_call

__all__ = ["DEFAULT_BROKER_ADDRESS", "enrol", "enrol_async"]

DEFAULT_BROKER_ADDRESS: Final = "127.0.0.1:7443"
_BROKER_MARK: Final = "@BROKER_ADDRESS@"
_ANALYST: Final = (("kapok.client", "analyst.toml"),)
_TEMPLATES: Final = {
    Role.NODE: (("kapok.nodes", "node.toml"), ("kapok.nodes", "policy.toml")),
    Role.BROKER: (("kapok.broker", "broker.toml"),),
    Role.ANALYST: _ANALYST,
    Role.OFFICER: _ANALYST,
    Role.OPERATOR: _ANALYST,
    Role.SUPERVISOR: _ANALYST,
}


def enrol(token: str, home: Path | str, *, passphrase: str | None = None) -> PartyName:
    """Spend a one-time token: make this party's key, get its certificate, write its settings if it has none.

    Args:
        token: The text that the authority gave, ``kapok1.…``.
        home: The party's home folder; made if absent.
        passphrase: Locks the private key; else that of the environment variable ``KAPOK_PASSPHRASE``.

    Returns:
        The party's name.

    Raises:
        InvalidInput: ``already_enrolled``, when there is an identity: it is never overwritten.
        IdentityInvalid: ``bad_token``, ``token_unknown``, ``token_expired``, ``token_spent``; or the
            certificate that came is not for this key, this name or under this root.
        Unavailable: the authority does not answer; give the same token again later.
    """

    def work() -> PartyName:
        return asyncio.run(enrol_async(token, home, passphrase=passphrase))

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return work()
    with ThreadPoolExecutor(1) as beside_the_running_loop:
        return beside_the_running_loop.submit(work).result()


async def enrol_async(
    token: str, home: Path | str, *, passphrase: str | None = None, clock: Callable[[], float] = time.time
) -> PartyName:
    """The same as `enrol`, for a program with an event loop; the clock gives seconds since the epoch."""
    read = EnrolmentToken.parse(token)
    home = Path(home)
    folder = home / IDENTITY_FOLDER
    _refuse_existing(folder)
    with _nothing_left_if_refused(folder / KEY_FILE):
        make_private_folder(folder)
        key = _own_key(folder / KEY_FILE, passphrase_or_environment(passphrase))
        der = await enrol_call(read.address, read.root.pem, read.secret, certificate_request(key, read.name))
    certificate = _checked(certificate_from_der(der), key, read, clock())
    replace_file(folder / ROOT_FILE, read.root.pem, mode=0o644)
    _write_settings(home, read)
    # Last: with it the identity is whole; without it the same token is given again.
    write_new_file(
        folder / CERTIFICATE_FILE, certificate.public_bytes(serialization.Encoding.PEM), mode=0o644
    )
    return read.name


def _refuse_existing(folder: Path) -> None:
    if (folder / CERTIFICATE_FILE).exists():
        raise InvalidInput(
            f"there is an identity in {folder} already",
            code="already_enrolled",
            remedy="name another folder with --home; or, to renew a certificate under the same key, move"
            f" {folder / CERTIFICATE_FILE} away and enrol with a new token",
        )


@contextmanager
def _nothing_left_if_refused(key: Path) -> Iterator[None]:
    """Take away what was made here if the token is refused: a key that no certificate will ever come for.

    One that was there before stays. So does a new one when there was no clear answer: the token may be spent.
    """
    made = [path for path in (key, *key.parents) if not path.exists()]
    try:
        yield
    except (IdentityInvalid, InvalidInput):
        with suppress(OSError):
            for path in made:
                if path == key:
                    path.unlink(missing_ok=True)
                else:
                    path.rmdir()
        raise


def _own_key(path: Path, passphrase: str | None) -> ec.EllipticCurvePrivateKey:
    """The key that an interrupted enrolment left, or a new one, on disk before anybody is asked."""
    if path.exists():
        return decode_key(read_private_file(path), passphrase, path)
    key = generate_key()
    write_new_file(path, encode_key(key, passphrase))
    return key


def _checked(
    certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey, token: EnrolmentToken, now: float
) -> x509.Certificate:
    """The authority is trusted for membership, not to be without faults: see that the certificate is ours."""
    got = Credentials(key, certificate, token.root, now)
    if got.name != token.name:
        raise IdentityInvalid(
            f"the authority answered a token for {token.name} with a certificate for {got.name}",
            code="bad_certificate",
            remedy="the token was altered on its way: ask the authority for a new one",
        )
    return certificate


def _write_settings(home: Path, token: EnrolmentToken) -> None:
    """The starting settings of the role; files that are there stay as they are."""
    broker = str(Address.parse(token.broker_address or DEFAULT_BROKER_ADDRESS))
    for package, name in _TEMPLATES.get(token.name.role, ()):
        if not (home / name).exists():
            text = importlib.resources.files(package).joinpath(name).read_text(encoding="utf-8")
            write_new_file(home / name, text.replace(_BROKER_MARK, broker).encode("utf-8"))
