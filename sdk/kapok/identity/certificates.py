"""Certificates: who one names, and whether it stands under a root.

A trust domain has one self-signed root, which carries ``spiffe://<trust domain>``; it signs every party's
certificate itself, there are no intermediates. A party's certificate carries exactly one name, its SPIFFE
URI, whose trust domain is the root's: a foreign authority cannot sign names into ours.

Source: SPIFFE X.509-SVID specification, sections 2 to 5; RFC 5280, section 6.1.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import verification

from kapok.errors import IdentityInvalid, InvalidInput
from kapok.identity.names import PartyName, Role

__all__ = [
    "TrustRoot",
    "certificate_from_der",
    "certificate_from_pem",
    "fingerprint",
    "key_fingerprint",
    "party_name",
    "public_key",
]

_Found = TypeVar("_Found")

_SCHEME: Final = "spiffe://"
_RENEW: Final = "ask your authority for a new token, move identity/certificate.pem away and enrol again"
_MOST_DER_BYTES: Final = 16 * 1024


def fingerprint(certificate: x509.Certificate) -> bytes:
    """SHA-256 of the certificate (DER), 32 bytes."""
    return certificate.fingerprint(hashes.SHA256())


def key_fingerprint(key: ec.EllipticCurvePublicKey) -> bytes:
    """SHA-256 of the key's SubjectPublicKeyInfo (DER), 32 bytes: a renewal with the same key keeps it."""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(
        key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return digest.finalize()


def certificate_from_pem(pem: bytes, what: str = "certificate") -> x509.Certificate:
    """Read the one certificate of a PEM text.

    Raises:
        IdentityInvalid: ``bad_certificate``.
    """
    try:
        (found,) = x509.load_pem_x509_certificates(pem)
    except (ValueError, x509.InvalidVersion):
        raise _bad(f"the {what} is not one certificate in PEM") from None
    return found


def certificate_from_der(der: bytes, what: str = "certificate") -> x509.Certificate:
    """Read a certificate from DER.

    Raises:
        IdentityInvalid: ``bad_certificate``.
    """
    try:
        if len(der) <= _MOST_DER_BYTES:
            return x509.load_der_x509_certificate(der)
    except (ValueError, x509.InvalidVersion):
        pass
    raise _bad(f"the {what} is not a certificate in DER")


def party_name(certificate: x509.Certificate) -> PartyName:
    """Return the party that a certificate names; whether to trust it is for `TrustRoot` to say.

    Raises:
        IdentityInvalid: ``bad_certificate`` when it does not carry exactly one SPIFFE URI of a party.
    """
    found = _alternative_names(certificate)
    names = found.get_values_for_type(x509.UniformResourceIdentifier)
    hosts = [*found.get_values_for_type(x509.DNSName), *found.get_values_for_type(x509.IPAddress)]
    if len(names) != 1 or len(list(found)) != 1 + len(hosts):
        raise _bad("the certificate does not carry exactly one name of a party")
    try:
        return PartyName.parse(names[0])
    except InvalidInput:
        raise _bad("the certificate does not carry the name of a party") from None


def public_key(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
    """Return the certificate's P-256 key.

    Raises:
        IdentityInvalid: ``bad_certificate`` when it is another kind of key.
    """
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise _bad("the certificate's key is of no kind known here") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise _bad("the certificate's key is not a P-256 key")
    return key


class TrustRoot:
    """A trust domain's root certificate: what everything signed in that domain is checked against.

    Raises:
        IdentityInvalid: ``bad_root`` when it is not such a root.
    """

    def __init__(self, certificate: x509.Certificate) -> None:
        self.certificate: Final = certificate
        self.trust_domain: Final = _check_root(certificate)

    @classmethod
    def from_pem(cls, pem: bytes) -> TrustRoot:
        """Read it from PEM."""
        return cls(certificate_from_pem(pem, "root certificate"))

    @property
    def pem(self) -> bytes:
        """The root certificate in PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def check(self, certificate: x509.Certificate, now: float) -> PartyName:
        """Return the party that a certificate names, once signature, dates, purpose and name are right.

        Of one that is expired the root's signature has been seen to be right: what it says was true once.

        Args:
            certificate: A party's certificate.
            now: Seconds since the epoch.

        Raises:
            IdentityInvalid: ``certificate_expired``, ``certificate_not_yet_valid``, ``foreign_certificate``
                or ``bad_certificate``.
        """
        name = party_name(certificate)
        public_key(certificate)
        if certificate.issuer != self.certificate.subject or not _signed_by(certificate, self.certificate):
            raise IdentityInvalid(
                f"the certificate of {name} was not signed by the root of {self.trust_domain}",
                code="foreign_certificate",
                remedy="the party must enrol with the authority whose root certificate is used here",
                party=str(name),
            )
        self.check_dates(certificate, now)
        self._check_path(certificate, now)
        if name.trust_domain != self.trust_domain:
            raise IdentityInvalid(
                f"the certificate is for a party of {name.trust_domain}, the root for {self.trust_domain}",
                code="foreign_certificate",
                remedy="the party must enrol with the authority of its own trust domain",
                party=str(name),
            )
        return name

    def check_dates(self, certificate: x509.Certificate, now: float) -> None:
        """Check the dates alone, of certificate and root: for one that has passed `check` before.

        Raises:
            IdentityInvalid: ``certificate_expired`` or ``certificate_not_yet_valid``.
        """
        moment = datetime.fromtimestamp(now, UTC)
        for what, checked in (("certificate", certificate), ("root certificate", self.certificate)):
            begins, ends = checked.not_valid_before_utc, checked.not_valid_after_utc
            if moment < begins:
                raise IdentityInvalid(
                    f"the {what} of {_subject(checked)} is valid from {begins:%Y-%m-%d %H:%M:%S} UTC on,"
                    f" and it is {moment:%Y-%m-%d %H:%M:%S} UTC",
                    code="certificate_not_yet_valid",
                    remedy="set this machine's clock right, or wait",
                    party=_named(checked),
                )
            if moment > ends:
                raise IdentityInvalid(
                    f"the {what} of {_subject(checked)} expired at {ends:%Y-%m-%d %H:%M:%S} UTC,"
                    f" and it is {moment:%Y-%m-%d %H:%M:%S} UTC",
                    code="certificate_expired",
                    remedy=f"{_RENEW}, or set this machine's clock right",
                    party=_named(checked),
                )

    def _check_path(self, certificate: x509.Certificate, now: float) -> None:
        """RFC 5280 path validation, the root the only anchor: constraints, usage, critical extensions."""
        verifier = (
            verification.PolicyBuilder()
            .store(verification.Store([self.certificate]))
            .time(datetime.fromtimestamp(now, UTC))
            .max_chain_depth(0)
            .build_client_verifier()
        )
        try:
            verifier.verify(certificate, [])
        except (verification.VerificationError, ValueError, UnsupportedAlgorithm):
            raise _bad("the certificate is not one that an authority of Kapok issues to a party") from None
        usage = _extension(certificate, lambda every: every.get_extension_for_class(x509.KeyUsage).value)
        if usage is None or not usage.digital_signature or usage.key_cert_sign:
            raise _bad("the certificate is not made for signing statements")


def _check_root(certificate: x509.Certificate) -> str:
    """Return the trust domain of a root."""
    constraints = _extension(
        certificate, lambda every: every.get_extension_for_class(x509.BasicConstraints).value
    )
    usage = _extension(certificate, lambda every: every.get_extension_for_class(x509.KeyUsage).value)
    names = list(_alternative_names(certificate))
    public_key(certificate)
    if (
        constraints is not None
        and usage is not None
        and constraints.ca
        and usage.key_cert_sign
        and len(names) == 1
        and isinstance(names[0], x509.UniformResourceIdentifier)
        and names[0].value.startswith(_SCHEME)
        and _signed_by(certificate, certificate)
    ):
        domain = names[0].value.removeprefix(_SCHEME)
        with contextlib.suppress(InvalidInput):
            return PartyName(domain, "authority", Role.AUTHORITY, "root").trust_domain
    raise IdentityInvalid(
        "the root certificate is not the root of a trust domain",
        code="bad_root",
        remedy="take the root certificate from your authority again",
    )


def _alternative_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    found = _extension(
        certificate, lambda every: every.get_extension_for_class(x509.SubjectAlternativeName).value
    )
    if found is None:
        raise _bad("the certificate names nobody")
    return found


def _extension(certificate: x509.Certificate, get: Callable[[x509.Extensions], _Found]) -> _Found | None:
    try:
        return get(certificate.extensions)
    except (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError):
        return None


def _signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except Exception:  # noqa: BLE001 - InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm: all mean no
        return False
    return True


def _subject(certificate: x509.Certificate) -> str:
    return _named(certificate) or "this trust domain"


def _named(certificate: x509.Certificate) -> str | None:
    """The party that it names; None of the root's."""
    try:
        return str(party_name(certificate))
    except IdentityInvalid:
        return None


def _bad(message: str) -> IdentityInvalid:
    return IdentityInvalid(message, code="bad_certificate", remedy=_RENEW)
