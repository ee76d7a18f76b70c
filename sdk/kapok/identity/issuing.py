"""Issuing certificates: a trust domain's root, and those of its parties.

P-256 throughout. A certificate begins five minutes before it is made, because the clocks of two
organisations differ. Brokers and authorities answer calls, so theirs also carry host names and may serve
TLS; everyone else's serve nothing.

Source: RFC 5280, sections 4.1 and 4.2; SPIFFE X.509-SVID, section 4; RFC 2986 for certificate requests.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kapok.errors import IdentityInvalid, InvalidInput
from kapok.identity.names import PartyName, Role

__all__ = [
    "DEFAULT_HOSTS",
    "SERVING_ROLES",
    "certificate_request",
    "check_host",
    "issue",
    "new_root",
    "requested_key",
    "revocation_list",
]

ROOT_DAYS: Final = 3650
LEAF_DAYS: Final = 365
SERVING_ROLES: Final = frozenset({Role.BROKER, Role.AUTHORITY})
DEFAULT_HOSTS: Final = ("localhost", "127.0.0.1")
_CLOCK_SKEW: Final = timedelta(minutes=5)
_MOST_REQUEST_BYTES: Final = 16 * 1024
_HOST: Final = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*\Z"
)


def new_root(key: ec.EllipticCurvePrivateKey, trust_domain: str, now: float) -> x509.Certificate:
    """Return the self-signed root of a trust domain, valid for ten years; it signs parties, nothing else.

    Raises:
        InvalidInput: ``bad_party_name`` when the trust domain has characters that SPIFFE does not allow.
    """
    PartyName(trust_domain, "authority", Role.AUTHORITY, "root")
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Kapok root {trust_domain}"[:64])])
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        _dated(x509.CertificateBuilder(), now, timedelta(days=ROOT_DAYS), None)
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(certificates=True), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(_names(f"spiffe://{trust_domain}", ()), critical=False)
        .sign(key, hashes.SHA256())
    )


def issue(
    root_key: ec.EllipticCurvePrivateKey,
    root: x509.Certificate,
    public_key: ec.EllipticCurvePublicKey,
    name: PartyName,
    *,
    now: float,
    days: int = LEAF_DAYS,
    hosts: Sequence[str] = (),
) -> x509.Certificate:
    """Return a party's certificate, signed by the root; it never outlives the root.

    Args:
        root_key: The root's private key.
        root: The root certificate.
        public_key: The party's key.
        name: The party's name, its only SPIFFE URI.
        now: Seconds since the epoch.
        days: How long it is valid.
        hosts: Host names and IP addresses under which a broker or authority is reached; for these roles
            ``localhost`` and ``127.0.0.1`` when empty. Other roles have none.

    Raises:
        InvalidInput: ``bad_host``.
    """
    serves = name.role in SERVING_ROLES
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
    if serves:
        usages.append(ExtendedKeyUsageOID.SERVER_AUTH)
        hosts = hosts or DEFAULT_HOSTS
    elif hosts:
        raise InvalidInput(
            f"a party of role {name.role} is never called and has no host names",
            code="bad_host",
            remedy="leave --host out",
        )
    attributes = [
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, name.organisation),
        x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, str(name.role)),
        x509.NameAttribute(NameOID.COMMON_NAME, name.name),
    ]
    root_identifier = root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return (
        _dated(x509.CertificateBuilder(), now, timedelta(days=days), root.not_valid_after_utc)
        .subject_name(x509.Name(attributes))
        .issuer_name(root.subject)
        .public_key(public_key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(root_identifier), critical=False
        )
        .add_extension(_names(str(name), hosts), critical=False)
        .sign(root_key, hashes.SHA256())
    )


def revocation_list(
    root_key: ec.EllipticCurvePrivateKey,
    root: x509.Certificate,
    revoked: Mapping[int, float],
    *,
    number: int,
    now: float,
    days: int,
) -> bytes:
    """Return a list of revoked certificates, DER, signed by the root.

    Args:
        root_key: The root's private key.
        root: The root certificate.
        revoked: Serial numbers, and when each was revoked, in seconds since the epoch.
        number: Larger than that of every list before.
        now: Seconds since the epoch.
        days: How long it is good.
    """
    moment = datetime.fromtimestamp(int(now), UTC)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(root.subject)
        .last_update(moment - _CLOCK_SKEW)
        .next_update(min(moment + timedelta(days=days), root.not_valid_after_utc))
        .add_extension(x509.CRLNumber(number), critical=False)
    )
    for serial, at in sorted(revoked.items()):
        entry = x509.RevokedCertificateBuilder().serial_number(serial)
        builder = builder.add_revoked_certificate(
            entry.revocation_date(datetime.fromtimestamp(int(at), UTC)).build()
        )
    return builder.sign(root_key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def certificate_request(key: ec.EllipticCurvePrivateKey, name: PartyName) -> bytes:
    """Return a PKCS #10 request, DER: it proves that its sender holds the private key."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name.name)])
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def requested_key(request_der: bytes) -> ec.EllipticCurvePublicKey:
    """Return the P-256 key of a request whose signature is right; nothing else in it is looked at.

    Raises:
        IdentityInvalid: ``bad_certificate_request``.
    """
    try:
        if len(request_der) <= _MOST_REQUEST_BYTES:
            request = x509.load_der_x509_csr(request_der)
            key = request.public_key()
            if (
                isinstance(key, ec.EllipticCurvePublicKey)
                and isinstance(key.curve, ec.SECP256R1)
                and request.is_signature_valid
            ):
                return key
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion):
        pass
    raise IdentityInvalid(
        "the certificate request is not one for a P-256 key that its sender holds",
        code="bad_certificate_request",
        remedy="enrol with `kapok enroll TOKEN` of this version",
    )


def check_host(host: str) -> x509.GeneralName:
    """Return a host name or IP address as a certificate carries it.

    Raises:
        InvalidInput: ``bad_host``.
    """
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    if not _HOST.match(host.lower()) or host.replace(".", "").isdigit():
        raise InvalidInput(
            f"{host!r} is neither a host name nor an IP address",
            code="bad_host",
            remedy="give the name under which others reach this machine, without port",
        )
    return x509.DNSName(host.lower())


def _names(uri: str, hosts: Sequence[str]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName(
        [x509.UniformResourceIdentifier(uri), *map(check_host, dict.fromkeys(hosts))]
    )


def _dated(
    builder: x509.CertificateBuilder, now: float, lasts: timedelta, at_most: datetime | None
) -> x509.CertificateBuilder:
    moment = datetime.fromtimestamp(int(now), UTC)
    ends = moment + lasts
    return (
        builder.serial_number(x509.random_serial_number())
        .not_valid_before(moment - _CLOCK_SKEW)
        .not_valid_after(min(ends, at_most) if at_most else ends)
    )


def _key_usage(*, certificates: bool) -> x509.KeyUsage:
    """Signing certificates and revocation lists, or signing statements and handshakes; never both."""
    return x509.KeyUsage(
        digital_signature=not certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certificates,
        crl_sign=certificates,
        encipher_only=False,
        decipher_only=False,
    )
