"""Enrolment tokens: one text that a person carries from the authority to a party, usable once.

    "kapok1." base64url(JSON {address, root, secret, name, broker})

It says where the authority listens, carries the root certificate that the party will trust from then on (so
the first connection is authenticated already), a 32-byte secret that the authority knows only as a hash,
the name that the certificate will bear, and where the broker is. Whoever has it can enrol under that name
until it is spent: hand it over as you would a password.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from typing import Final

import msgspec
from cryptography.hazmat.primitives import serialization

from kapok.errors import IdentityInvalid, KapokError
from kapok.errors.secrecy import NeverPickled
from kapok.identity.certificates import TrustRoot, certificate_from_der
from kapok.identity.names import PartyName

__all__ = ["EnrolmentToken", "secret_hash"]

_PREFIX: Final = "kapok1."
_SECRET_BYTES: Final = 32
_MOST_CHARACTERS: Final = 16 * 1024
_TEXT: Final = re.compile(r"kapok1\.[A-Za-z0-9_-]+\Z")


class _Written(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The token's JSON."""

    address: str
    root: bytes
    secret: bytes
    name: str
    broker: str | None

    def __repr__(self) -> str:
        return "<_Written>"


def secret_hash(secret: bytes) -> bytes:
    """SHA-256 of a token's secret: all that the authority keeps. It has 256 bits: no salt is needed."""
    return hashlib.sha256(b"kapok enrolment token" + secret).digest()


class EnrolmentToken(NeverPickled):
    """A token, read. Printing it shows name and address; only `text` shows the secret.

    Attributes:
        address: Where the authority listens, ``host:port``.
        root: The trust domain's root.
        name: The party that it enrols.
        broker_address: Where the broker listens, or None.
        secret: 32 bytes.
    """

    __slots__ = ("address", "broker_address", "name", "root", "secret")

    def __init__(
        self, address: str, root: TrustRoot, name: PartyName, broker_address: str | None, secret: bytes
    ) -> None:
        if len(secret) != _SECRET_BYTES or name.trust_domain != root.trust_domain:
            raise _bad()
        self.address = address
        self.root = root
        self.name = name
        self.broker_address = broker_address
        self.secret = secret

    @classmethod
    def generate(
        cls, address: str, root: TrustRoot, name: PartyName, broker_address: str | None = None
    ) -> EnrolmentToken:
        """Return a token with a new secret."""
        return cls(address, root, name, broker_address, secrets.token_bytes(_SECRET_BYTES))

    @classmethod
    def parse(cls, text: str) -> EnrolmentToken:
        """Read a token's text; white space that a mail programme put into it is skipped.

        Raises:
            IdentityInvalid: ``bad_token`` when it is not one, or not whole.
        """
        if len(text) > _MOST_CHARACTERS:
            raise _bad()
        text = "".join(text.split())
        if not _TEXT.match(text):
            raise _bad()
        body = text.removeprefix(_PREFIX)
        try:
            octets = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
            written = msgspec.json.decode(octets, type=_Written)
            root = TrustRoot(certificate_from_der(written.root))
            name = PartyName.parse(written.name)
        except (ValueError, msgspec.DecodeError, RecursionError, KapokError):
            raise _bad() from None
        return cls(written.address, root, name, written.broker, written.secret)

    @property
    def text(self) -> str:
        """The text to hand over: a secret."""
        der = self.root.certificate.public_bytes(serialization.Encoding.DER)
        written = _Written(self.address, der, self.secret, str(self.name), self.broker_address)
        body = base64.urlsafe_b64encode(msgspec.json.encode(written)).rstrip(b"=")
        return _PREFIX + body.decode("ascii")

    def __repr__(self) -> str:
        return f"<EnrolmentToken for {self.name} at {self.address}>"


def _bad() -> IdentityInvalid:
    return IdentityInvalid(
        "this is not an enrolment token, or a part of it is missing",
        code="bad_token",
        remedy="copy the whole text that the authority gave you, from kapok1. to its end",
    )
