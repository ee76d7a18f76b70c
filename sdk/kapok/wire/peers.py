"""Who calls: the name in the certificate that the TLS handshake has verified.

gRPC has checked signature, chain to the trusted root, dates and purpose before a call is seen. Checked here,
per call: the version of TLS (gRPC cannot set a least one), that the certificate names exactly one party, by
one SPIFFE URI, of the service's own trust domain, that it has not expired since the connection was opened,
and that it is not revoked.

Source: SPIFFE X.509-SVID, sections 2 and 5.2 (exactly one URI in the subject alternative name).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from cryptography import x509

from kapok.errors import IdentityInvalid, InvalidInput, NotAuthorised, VersionMismatch
from kapok.identity.names import PartyName, Role
from kapok.identity.revocation import revoked_error

__all__ = ["AuthContext", "Caller", "expired_error", "identify", "require_role", "require_tls13"]

AuthContext = Mapping[str, Sequence[bytes]]
"""What gRPC's `ServicerContext.auth_context()` returns."""


class Caller(NamedTuple):
    """Who calls, as the certificate says that TLS has verified.

    Attributes:
        name: Whom it names.
        expires: When it does, in seconds since the epoch.
        serial: Its serial number.
    """

    name: PartyName
    expires: float
    serial: int


_TLS_VERSION: Final = "ssl_tls_version"
_CERTIFICATE: Final = "x509_pem_cert"


def require_tls13(auth: AuthContext) -> None:
    """Refuse a connection below TLS 1.3.

    Raises:
        VersionMismatch: ``tls_too_old``.
    """
    spoken = [bytes(value) for value in auth.get(_TLS_VERSION, ())]
    if spoken != [b"TLSv1.3"]:
        raise VersionMismatch(
            "the connection uses a version of TLS below 1.3",
            code="tls_too_old",
            remedy="call with TLS 1.3; look for a proxy in between that ends TLS and opens it anew",
        )


def identify(
    auth: AuthContext,
    trust_domain: str,
    now: float,
    revoked: Callable[[int], bool] = lambda _serial: False,
) -> Caller:
    """Return who calls.

    Args:
        auth: The connection's properties.
        trust_domain: The service's own.
        now: Seconds since the epoch.
        revoked: Whether the certificate of a serial number is revoked.

    Raises:
        IdentityInvalid: there is no certificate, it has expired or is revoked, names nobody or more than one,
            or a party of another trust domain.
    """
    certificates = auth.get(_CERTIFICATE, ())
    if len(certificates) != 1:
        raise IdentityInvalid(
            "the caller showed no certificate",
            code="certificate_missing",
            remedy="enrol: `kapok enroll TOKEN`",
        )
    caller = _named(bytes(certificates[0]))
    name = caller.name
    if now >= caller.expires:
        raise expired_error(name)
    if name.trust_domain != trust_domain:
        raise IdentityInvalid(
            f"the caller's certificate is of another trust domain than {trust_domain}",
            code="certificate_foreign",
            remedy="enrol with the authority of this trust domain",
            party=str(name),
        )
    if revoked(caller.serial):
        raise revoked_error(str(name))
    return caller


def expired_error(name: PartyName) -> IdentityInvalid:
    """The error for a caller whose certificate has expired, before a call or while it lasts."""
    return IdentityInvalid(
        "the caller's certificate has expired",
        code="certificate_expired",
        remedy="enrol anew",
        party=str(name),
    )


def require_role(caller: PartyName, role: Role | None, service: str) -> None:
    """Refuse a caller whose role a service is not for; None is for everyone.

    Raises:
        NotAuthorised: ``wrong_role``.
    """
    if role is not None and caller.role is not role:
        raise NotAuthorised(
            f"{service} is for the role {role}; the caller's role is {caller.role}",
            code="wrong_role",
            remedy=f"call with the identity of a party whose role is {role}",
            party=str(caller),
        )


@functools.lru_cache(maxsize=1024)
def _named(pem: bytes) -> Caller:
    """What a verified certificate says."""
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        uris = []
    if len(uris) != 1:
        raise IdentityInvalid(
            "the caller's certificate does not name exactly one party",
            code="certificate_unnamed",
            remedy="use a certificate that the authority issued for Kapok",
        )
    try:
        expires = certificate.not_valid_after_utc.timestamp()
        return Caller(PartyName.parse(uris[0]), expires, certificate.serial_number)
    except InvalidInput as bad:
        raise IdentityInvalid(
            "the caller's certificate carries no party's name",
            code="certificate_unnamed",
            remedy="use a certificate that the authority issued for Kapok",
        ) from bad
