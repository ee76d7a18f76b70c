"""The envelope of every signed document: a JWS in compact form whose header carries the signer's certificate.

    header  {"alg": "ES256", "typ": <kind of statement>, "x5c": [<certificate, base64 DER>]}   nothing else
    token   base64url(header) "." base64url(payload) "." base64url(r ‖ s)

A verifier names the `typ` it wants: a statement of one kind never passes as another. Algorithm and curve
are fixed; the header's word on it only has to agree. A document is identified by its payload, never by its
token: anyone can turn (r, s) into (r, −s) and it still verifies.

Source: RFC 7515 sections 3.1, 4.1 and 5.2; RFC 7518 section 3.4; RFC 8725 for what to refuse.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from kapok.errors import IdentityInvalid, InvalidInput, KapokError, PeerProtocolError
from kapok.errors.secrecy import NeverPickled
from kapok.identity.certificates import (
    TrustRoot,
    certificate_from_der,
    fingerprint,
    key_fingerprint,
    party_name,
    public_key,
)
from kapok.identity.credentials import Credentials
from kapok.identity.revocation import revoked_error
from kapok.protocols.secure_sum.params import Party, Signed

__all__ = [
    "MOST_TOKEN_BYTES",
    "JwsSigner",
    "JwsVerifier",
    "attached",
    "decode",
    "detached",
    "document_id",
    "encode",
    "is_digest",
]

_Statement = TypeVar("_Statement", bound=msgspec.Struct)

MOST_TOKEN_BYTES: Final = 4 * 2**20
_ALGORITHM: Final = "ES256"
_HEADER: Final = frozenset({"alg", "typ", "x5c"})
_MOST_HEADER_BYTES: Final = 32 * 1024
_MOST_CACHED: Final = 1024
_DIGEST: Final = re.compile(r"[0-9a-f]{64}\Z")
_TOKEN: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]*)\.([A-Za-z0-9_-]{86})\Z")


class _Registry(jws.JWSRegistry):
    """The library's limits are made for session cookies; ours are checked before it sees a token."""

    max_header_length = _MOST_HEADER_BYTES
    max_payload_length = MOST_TOKEN_BYTES


_REGISTRY: Final = _Registry(algorithms=[_ALGORITHM])


def document_id(payload: bytes) -> str:
    """A document's identity: SHA-256 of its payload, lower-case hex."""
    return hashlib.sha256(payload).hexdigest()


def is_digest(text: str) -> bool:
    """Whether a text is a SHA-256 in lower-case hex, as identities of documents and of app bundles are."""
    return _DIGEST.match(text) is not None


def detached(token: str) -> str:
    """A signed document without its payload (RFC 7515, appendix F): several parties may sign one payload."""
    header, _payload, signature = token.split(".")
    return f"{header}..{signature}"


def attached(signature: str, payload: bytes) -> str:
    """A detached signature with its payload again: what a verifier reads.

    Raises:
        IdentityInvalid: ``bad_envelope`` when it is no detached signature.
    """
    header, mark, rest = signature.partition("..")
    if not mark or "." in header + rest:
        raise _bad("has no detached signature")
    return f"{header}.{base64.urlsafe_b64encode(payload).rstrip(b'=').decode('ascii')}.{rest}"


def encode(statement: msgspec.Struct) -> bytes:
    """A statement's JSON form: field order as declared, no white space, bytes as base64."""
    return msgspec.json.encode(statement)


def decode(struct_type: type[_Statement], payload: bytes, *, party: str | None = None) -> _Statement:
    """Read a statement from a payload; what is decoded passes the same constructor as what is made here.

    Args:
        struct_type: The statement's structure.
        payload: The verified bytes.
        party: Who signed it, for the error.

    Raises:
        PeerProtocolError: ``bad_statement`` when it does not have that form.
    """
    try:
        return msgspec.json.decode(payload, type=struct_type, strict=True)
    except (msgspec.DecodeError, KapokError, UnicodeDecodeError, RecursionError):
        raise PeerProtocolError(
            f"what was signed is not a {struct_type.__name__} as this version writes it",
            code="bad_statement",
            remedy="see that both sides run the same version of Kapok",
            party=party,
        ) from None


class JwsSigner(NeverPickled):
    """Signs statements with a party's credentials."""

    def __init__(self, credentials: Credentials) -> None:
        self._name = credentials.name
        self._means = self._means_of(credentials)

    def renew(self, credentials: Credentials) -> None:
        """Sign with these from now on: the same party's, renewed."""
        self._means = self._means_of(credentials)

    @staticmethod
    def _means_of(credentials: Credentials) -> tuple[ECKey, str]:
        """Key and certificate: exchanged together, for statements are signed in several threads."""
        key = credentials.private_key()
        return ECKey(key, key), base64.b64encode(credentials.certificate_der).decode("ascii")

    def sign(self, typ: str, payload: bytes) -> str:
        """Return the signed statement as text.

        Raises:
            InvalidInput: ``document_too_long`` when no verifier would read it.
        """
        key, certificate = self._means
        header = {"alg": _ALGORITHM, "typ": typ, "x5c": [certificate]}
        token = jws.serialize_compact(header, payload, key, registry=_REGISTRY)
        if len(token) > MOST_TOKEN_BYTES:
            raise InvalidInput(
                f"the signed document has {len(token)} bytes, at most {MOST_TOKEN_BYTES} are allowed",
                code="document_too_long",
                remedy="make it shorter: fewer columns, smaller domains, fewer members",
            )
        return token

    def __repr__(self) -> str:
        return f"<JwsSigner of {self._name}>"


class JwsVerifier:
    """Verifies signed documents against one root.

    A certificate is read and its chain checked once, and remembered by the SHA-256 of its bytes; its dates
    are checked anew for each document.
    """

    def __init__(
        self,
        root_pem: bytes,
        clock: Callable[[], float] = time.time,
        revoked: Callable[[int], bool] = lambda _serial: False,
    ) -> None:
        """Take the root certificate in PEM, and what changes with time.

        Args:
            root_pem: The root certificate.
            clock: Seconds since the epoch.
            revoked: Whether the certificate of a serial number is revoked.
        """
        self._root = TrustRoot.from_pem(root_pem)
        self._clock = clock
        self._revoked = revoked
        self._checked: OrderedDict[bytes, _Signer] = OrderedDict()

    def verify(self, typ: str, token: str) -> Signed:
        """Return what was signed, once form, `typ`, certificate and signature are seen to be right.

        Raises:
            IdentityInvalid: ``bad_envelope`` for the form, ``wrong_typ``, ``bad_signature``,
                ``certificate_revoked``, or what `TrustRoot.check` raises for the certificate; where that are
                its dates alone, everything else has been seen to be right, and the error's party is the
                signer.
        """
        header, payload = _split(token)
        if header["typ"] != typ:
            raise IdentityInvalid(
                f"the document is signed as {_short(header['typ'])}, wanted is {typ}",
                code="wrong_typ",
                remedy=f"give the document that was signed as {typ}",
            )
        signer = self._known(_certificate_of(header))
        name = signer.name
        try:
            jws.deserialize_compact(token, signer.key, registry=_REGISTRY)
        except (JoseError, ValueError, TypeError):
            raise IdentityInvalid(
                f"the signature under the name of {name} is not right",
                code="bad_signature",
                remedy="it was altered, or its sender does not hold that party's key: ask the party",
                party=str(name),
            ) from None
        self._check(signer)
        if self._revoked(signer.certificate.serial_number):
            raise revoked_error(str(name))
        return Signed(
            payload=payload,
            signer=signer.party,
            fingerprint=signer.fingerprint,
            key_fingerprint=signer.key_fingerprint,
        )

    def _known(self, der: bytes) -> _Signer:
        """Who has signed, by a certificate that may not be checked yet."""
        digest = hashlib.sha256(der).digest()
        return self._checked.get(digest) or _Signer(der, digest)

    def _check(self, signer: _Signer) -> None:
        """Check the certificate: after the signature, for then it is known who signed with an expired one."""
        now = self._clock()
        if signer.digest in self._checked:
            self._root.check_dates(signer.certificate, now)
            self._checked.move_to_end(signer.digest)
            return
        self._root.check(signer.certificate, now)
        self._checked[signer.digest] = signer
        if len(self._checked) > _MOST_CACHED:
            self._checked.popitem(last=False)


class _Signer:
    """Whoever a certificate names, who may not be checked yet.

    Args:
        der: The certificate.
        digest: Its SHA-256.

    Raises:
        IdentityInvalid: ``bad_certificate``.
    """

    __slots__ = ("certificate", "digest", "fingerprint", "key", "key_fingerprint", "name", "party")

    def __init__(self, der: bytes, digest: bytes) -> None:
        self.digest = digest
        self.certificate = certificate_from_der(der, "signer's certificate")
        self.name = party_name(self.certificate)
        key = public_key(self.certificate)
        self.key = ECKey(key, key)
        self.party = Party(str(self.name), self.name.organisation_id)
        self.fingerprint, self.key_fingerprint = fingerprint(self.certificate), key_fingerprint(key)


def _split(token: str) -> tuple[dict[str, Any], bytes]:
    """The header, exactly as this module writes it, and the payload; nothing verified yet."""
    if len(token) > MOST_TOKEN_BYTES:
        raise _bad(f"is longer than {MOST_TOKEN_BYTES} bytes")
    match = _TOKEN.match(token)
    if not match or len(match[1]) > _MOST_HEADER_BYTES:
        raise _bad("is not a compact JWS")
    try:
        header = json.loads(_decode_segment(match[1]), object_pairs_hook=_once)
        payload = _decode_segment(match[2])
    except (ValueError, RecursionError):
        raise _bad("is not a compact JWS") from None
    if not isinstance(header, dict) or header.keys() != _HEADER:
        raise _bad("has a header with other parameters than alg, typ and x5c")
    if header["alg"] != _ALGORITHM:
        raise _bad(f"is not signed with {_ALGORITHM}")
    if not isinstance(header["typ"], str):
        raise _bad("has a header without typ")
    return header, payload


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object whose keys occur once: of two `alg`, two readers would believe two things."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _decode_segment(segment: str) -> bytes:
    decoded = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    if base64.urlsafe_b64encode(decoded).rstrip(b"=").decode("ascii") != segment:
        raise ValueError("not the one base64url form of these bytes")
    return decoded


def _certificate_of(header: dict[str, Any]) -> bytes:
    chain = header["x5c"]
    if isinstance(chain, list) and len(chain) == 1 and isinstance(chain[0], str):
        try:
            return base64.b64decode(chain[0], validate=True)
        except ValueError:
            pass
    raise _bad("does not carry exactly one certificate")


def _short(text: str) -> str:
    return repr(text[:64])


def _bad(what: str) -> IdentityInvalid:
    return IdentityInvalid(
        f"the signed document {what}",
        code="bad_envelope",
        remedy="see that both sides run the same version of Kapok",
    )
