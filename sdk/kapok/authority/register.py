"""The authority's register: which tokens it gave out, what each was spent on, which certificates it issued.

A token is *open* until it is *spent* (with one key, for one certificate, in one transaction) or *expired*.
A spent token answers the key that spent it with the same certificate again, because an answer can be lost
on its way; to any other key it says no.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy.engine import Connection, Engine

from kapok.errors import IdentityInvalid
from kapok.identity.certificates import key_fingerprint
from kapok.identity.names import PartyName

__all__ = ["Enrolment", "Issue", "Register"]

_METADATA: Final = sa.MetaData()

_CERTIFICATES: Final = sa.Table(
    "certificates",
    _METADATA,
    sa.Column("serial", sa.String(40), primary_key=True),
    sa.Column("name", sa.String(400), nullable=False, index=True),
    sa.Column("key_fingerprint", sa.LargeBinary(32), nullable=False),
    sa.Column("der", sa.LargeBinary, nullable=False),
    sa.Column("issued_at", sa.Float, nullable=False),
    sa.Column("expires_at", sa.Float, nullable=False),
)

_TOKENS: Final = sa.Table(
    "tokens",
    _METADATA,
    sa.Column("secret_hash", sa.LargeBinary(32), primary_key=True),
    sa.Column("name", sa.String(400), nullable=False, index=True),
    sa.Column("hosts", sa.JSON, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("expires_at", sa.Float, nullable=False),
    sa.Column("spent_at", sa.Float),
    sa.Column("spent_key", sa.LargeBinary(32)),
    sa.Column("serial", sa.String(40), sa.ForeignKey("certificates.serial")),
)

_REVOCATIONS: Final = sa.Table(
    "revocations",
    _METADATA,
    sa.Column("serial", sa.String(40), sa.ForeignKey("certificates.serial"), primary_key=True),
    sa.Column("revoked_at", sa.Float, nullable=False),
)

_LISTS: Final = sa.Table(
    "revocation_lists",
    _METADATA,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("signed_at", sa.Float, nullable=False),
)

Issue = Callable[[PartyName, Sequence[str]], x509.Certificate]
"""Signs the key at hand under a name, with host names."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What spending a token came to.

    Attributes:
        name: Who enrolled.
        certificate_der: The certificate.
        serial: Its serial number, lower-case hex.
        repeated: Whether the same key had spent the token before, and this is the same certificate again.
        others_live: How many other certificates of the same name were valid at this moment.
    """

    name: PartyName
    certificate_der: bytes
    serial: str
    repeated: bool
    others_live: int


class Register:
    """The register in its database. Whoever opened the engine disposes of it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add_token(
        self, secret_hash: bytes, name: PartyName, hosts: Sequence[str], now: float, lifetime_s: float
    ) -> None:
        """Note a token that is given out; times in seconds since the epoch."""
        with self._engine.begin() as connection:
            connection.execute(
                _TOKENS.insert().values(
                    secret_hash=secret_hash,
                    name=str(name),
                    hosts=list(hosts),
                    created_at=now,
                    expires_at=now + lifetime_s,
                )
            )

    def live(self, name: PartyName, now: float) -> int:
        """How many certificates of that name are valid at `now`, in seconds since the epoch."""
        with self._engine.connect().execution_options(read_only=True) as connection:
            return _live(connection, name, now)

    def add_certificate(self, name: PartyName, certificate: x509.Certificate, now: float) -> None:
        """Note a certificate that needed no token: the authority's own."""
        with self._engine.begin() as connection:
            _insert(connection, name, certificate, now)

    def revoke(self, name: PartyName, now: float) -> int:
        """Revoke all certificates of a name that are valid at `now`, and end its open tokens.

        Returns:
            How many certificates were revoked now; those that were before are not counted.
        """
        with self._engine.begin() as connection:
            live = _CERTIFICATES.c.name == str(name), _CERTIFICATES.c.expires_at > now
            known = sa.select(_REVOCATIONS.c.serial)
            serials = connection.scalars(
                sa.select(_CERTIFICATES.c.serial).where(*live, _CERTIFICATES.c.serial.not_in(known))
            ).all()
            for serial in serials:
                connection.execute(_REVOCATIONS.insert().values(serial=serial, revoked_at=now))
            connection.execute(
                _TOKENS.update()
                .where(_TOKENS.c.name == str(name), _TOKENS.c.spent_at.is_(None), _TOKENS.c.expires_at > now)
                .values(expires_at=now)
            )
            return len(serials)

    def revoked(self, now: float) -> dict[int, tuple[str, float]]:
        """Each revoked certificate that has not expired: serial number, name, and when it was revoked."""
        query = sa.select(_REVOCATIONS, _CERTIFICATES.c.name).join_from(
            _REVOCATIONS, _CERTIFICATES, _CERTIFICATES.c.serial == _REVOCATIONS.c.serial
        )
        with self._engine.connect().execution_options(read_only=True) as connection:
            rows = connection.execute(query.where(_CERTIFICATES.c.expires_at > now)).all()
            return {int(row.serial, 16): (row.name, row.revoked_at) for row in rows}

    def adopt(self, revoked: Mapping[int, float]) -> dict[int, float]:
        """Note revocations of a list that was signed before, and may have been forgotten here since.

        Args:
            revoked: Serial numbers, and when each was revoked.

        Returns:
            Those of certificates that the register does not know.
        """
        strange = {}
        with self._engine.begin() as connection:
            for number, at in revoked.items():
                serial = f"{number:x}"
                if not _has(connection, _CERTIFICATES, serial):
                    strange[number] = at
                elif not _has(connection, _REVOCATIONS, serial):
                    connection.execute(_REVOCATIONS.insert().values(serial=serial, revoked_at=at))
        return strange

    def learn(self, name: PartyName, certificate: x509.Certificate, now: float) -> None:
        """Note a certificate that was issued here, if it is not known."""
        with self._engine.begin() as connection:
            if not _has(connection, _CERTIFICATES, f"{certificate.serial_number:x}"):
                _insert(connection, name, certificate, now)

    def next_list(self, now: float, after: int = 0) -> int:
        """The number of a list that is signed now: one more than that of the last, and than `after`."""
        with self._engine.begin() as connection:
            last = connection.scalar(sa.select(sa.func.max(_LISTS.c.number))) or 0
            number = 1 + max(last, after)
            connection.execute(_LISTS.insert().values(number=number, signed_at=now))
            return int(number)

    def spend(
        self, secret_hash: bytes, key: ec.EllipticCurvePublicKey, now: float, issue: Issue
    ) -> Enrolment:
        """Spend a token for a key: one transaction, in which the certificate is issued and noted.

        Raises:
            IdentityInvalid: ``token_unknown``, ``token_expired``, or ``token_spent`` (with another key).
        """
        fingerprint = key_fingerprint(key)
        with self._engine.begin() as connection:
            spent = connection.execute(
                _TOKENS.update()
                .where(
                    _TOKENS.c.secret_hash == secret_hash,
                    _TOKENS.c.spent_at.is_(None),
                    _TOKENS.c.expires_at > now,
                )
                .values(spent_at=now, spent_key=fingerprint)
            )
            token = connection.execute(
                sa.select(_TOKENS).where(_TOKENS.c.secret_hash == secret_hash)
            ).one_or_none()
            if token is None:
                raise _refusal("unknown", "the authority does not know this enrolment token")
            name = PartyName.parse(token.name)
            if spent.rowcount == 0:
                return _again(connection, token, name, fingerprint)
            certificate = issue(name, tuple(token.hosts))
            others = _live(connection, name, now)
            serial = _insert(connection, name, certificate, now)
            connection.execute(
                _TOKENS.update().where(_TOKENS.c.secret_hash == secret_hash).values(serial=serial)
            )
            der = certificate.public_bytes(serialization.Encoding.DER)
            return Enrolment(name, der, serial, repeated=False, others_live=others)


def _again(
    connection: Connection, token: sa.Row[tuple[object, ...]], name: PartyName, key: bytes
) -> Enrolment:
    """The answer for a token that is open no longer."""
    if token.spent_at is None:
        raise _refusal("expired", f"the enrolment token for {name} has expired", name)
    if token.spent_key != key:
        raise _refusal("spent", f"the enrolment token for {name} has been spent with another key", name)
    certificate = connection.execute(
        sa.select(_CERTIFICATES).where(_CERTIFICATES.c.serial == token.serial)
    ).one()
    return Enrolment(name, certificate.der, certificate.serial, repeated=True, others_live=0)


def _has(connection: Connection, table: sa.Table, serial: str) -> bool:
    return connection.scalar(sa.select(table.c.serial).where(table.c.serial == serial)) is not None


def _live(connection: Connection, name: PartyName, now: float) -> int:
    return connection.execute(
        sa.select(sa.func.count())
        .select_from(_CERTIFICATES)
        .where(
            _CERTIFICATES.c.name == str(name),
            _CERTIFICATES.c.expires_at > now,
            _CERTIFICATES.c.serial.not_in(sa.select(_REVOCATIONS.c.serial)),
        )
    ).scalar_one()


def _insert(connection: Connection, name: PartyName, certificate: x509.Certificate, now: float) -> str:
    serial = f"{certificate.serial_number:x}"
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise AssertionError("an authority issues P-256 certificates only")
    connection.execute(
        _CERTIFICATES.insert().values(
            serial=serial,
            name=str(name),
            key_fingerprint=key_fingerprint(key),
            der=certificate.public_bytes(serialization.Encoding.DER),
            issued_at=now,
            expires_at=certificate.not_valid_after_utc.timestamp(),
        )
    )
    return serial


def _refusal(what: str, message: str, name: PartyName | None = None) -> IdentityInvalid:
    remedies = {
        "unknown": "ask the authority that gave it to you for a new one; see that the whole text was copied",
        "expired": "ask the authority for a new one",
        "spent": "ask the authority for a new one, and who used this one: the name is theirs now",
    }
    return IdentityInvalid(
        message, code=f"token_{what}", remedy=remedies[what], party=str(name) if name else None
    )
