"""Revocation: a list of certificates that are good no longer, signed by the root, with a growing number.

The list is an X.509 CRL. Nobody need be trusted to hand it on: who does can withhold a newer one, and no
more. A list has an end; one that is past it still counts, and is reported, for a newer one may have been
withheld.

Source: RFC 5280, sections 5.1 and 5.2.3 (CRL number).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from cryptography import x509

from kapok.errors import IdentityInvalid
from kapok.identity.certificates import TrustRoot, public_key

__all__ = ["RevocationList", "Revocations", "revoked_error"]

_MOST_BYTES: Final = 2**20
_MOST_NUMBER: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class RevocationList:
    """A list whose signature was seen to be the root's.

    Attributes:
        number: Larger than that of every list before.
        expires: Until when there should be a newer one, seconds since the epoch.
        serials: Serial numbers of the certificates that are revoked.
        der: The list itself.
    """

    number: int
    expires: float
    serials: frozenset[int]
    der: bytes = field(repr=False)

    @classmethod
    def read(cls, der: bytes, root: TrustRoot) -> RevocationList:
        """Read a list and check its signature. Its dates are not looked at: it counts even when it is old.

        Raises:
            IdentityInvalid: ``bad_revocation_list``.
        """
        try:
            if len(der) <= _MOST_BYTES:
                found = x509.load_der_x509_crl(der)
                number = found.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
                ends = found.next_update_utc
                if (
                    found.issuer == root.certificate.subject
                    and found.is_signature_valid(public_key(root.certificate))
                    and 0 < number <= _MOST_NUMBER
                    and ends is not None
                ):
                    return cls(number, ends.timestamp(), frozenset(one.serial_number for one in found), der)
        except Exception:  # noqa: BLE001, S110 - the library's errors for broken bytes have no common class
            pass
        raise IdentityInvalid(
            f"this is no list of revocations that the root of {root.trust_domain} has signed",
            code="bad_revocation_list",
            remedy="take the list from the authority of this trust domain: `kapok authority revocations`",
        )

    def times(self) -> dict[int, float]:
        """When each of its certificates was revoked, in seconds since the epoch."""
        found = x509.load_der_x509_crl(self.der)
        return {one.serial_number: one.revocation_date_utc.timestamp() for one in found}


class Revocations:
    """The newest list that a party has seen. Read from several threads; written by one.

    Args:
        root: Whose lists count.
        der: The list that was kept; None for none.
        keep: Told each list that is newer.

    Raises:
        IdentityInvalid: ``bad_revocation_list``.
    """

    def __init__(
        self, root: TrustRoot, der: bytes | None = None, keep: Callable[[bytes], None] = lambda _der: None
    ) -> None:
        self._root, self._keep = root, keep
        self._told: list[Callable[[], None]] = []
        self._current = RevocationList.read(der, root) if der else None

    @property
    def current(self) -> RevocationList | None:
        """The list that counts; None before the first."""
        return self._current

    def tell(self, told: Callable[[], None]) -> None:
        """Call something whenever a newer list has begun to count, in the thread that took it."""
        self._told.append(told)

    def take(self, der: bytes) -> bool:
        """Let a list count from now on if it is newer; return whether it was.

        Raises:
            IdentityInvalid: ``bad_revocation_list``.
            KapokError: it could not be kept. It counts nevertheless.
        """
        found = RevocationList.read(der, self._root)
        if self._current is not None and found.number <= self._current.number:
            return False
        self._current = found
        for told in self._told:
            told()
        self._keep(der)
        return True

    def revokes(self, serial: int) -> bool:
        """Whether the certificate of that serial number is revoked."""
        return self._current is not None and serial in self._current.serials

    def overdue(self, now: float) -> tuple[str, str] | None:
        """That the list should have been replaced by now, and what to do; None while all is well."""
        if self._current is None or now <= self._current.expires:
            return None
        when = f"{datetime.fromtimestamp(self._current.expires, UTC):%Y-%m-%d %H:%M} UTC"
        return (
            f"the list of revocations (number {self._current.number}) was good until {when}",
            "let the authority send a newer one (`kapok authority revocations`); if it has, it is withheld",
        )


def revoked_error(party: str) -> IdentityInvalid:
    """The error for a party whose certificate is revoked."""
    return IdentityInvalid(
        f"the certificate of {party} has been revoked",
        code="certificate_revoked",
        remedy="if it should not be, ask the authority for a new token and enrol again with a new key",
        party=party,
    )
