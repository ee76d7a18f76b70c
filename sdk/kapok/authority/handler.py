"""What stands behind the enrolment service: spends tokens, signs keys, and writes down what it did."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from kapok.authority.register import Enrolment, Register
from kapok.authority.root import RootKey
from kapok.errors import KapokError
from kapok.errors.secrecy import NeverPickled
from kapok.identity.issuing import requested_key
from kapok.identity.names import PartyName
from kapok.identity.tokens import secret_hash

__all__ = ["AuthorityHandler"]

_LOG: Final = logging.getLogger(__name__)


class AuthorityHandler(NeverPickled):
    """Implements `kapok.wire.handlers.EnrolmentHandler`. It holds the root key: never printed or pickled."""

    def __init__(
        self,
        register: Register,
        root: RootKey,
        *,
        leaf_days: int,
        clock: Callable[[], float],
    ) -> None:
        self._register = register
        self._root = root
        self._leaf_days = leaf_days
        self._clock = clock

    async def enrol(self, secret: bytes, csr_der: bytes) -> bytes:
        """Spend a one-time token for the key in a certificate request; return the certificate, DER.

        Raises:
            IdentityInvalid: the request does not prove its key, or the token is unknown, expired, or spent
                with another key.
        """
        return await asyncio.to_thread(self.enrol_now, secret, csr_der)

    def enrol_now(self, secret: bytes, csr_der: bytes) -> bytes:
        """The same, without an event loop."""
        try:
            key = requested_key(csr_der)
            enrolment = self._spend(secret, key)
        except KapokError as refusal:
            _LOG.warning("enrolment refused", extra={"code": refusal.code, "party": refusal.party})
            raise
        noted = {"party": str(enrolment.name), "serial": enrolment.serial}
        if enrolment.repeated:
            _LOG.info("enrolment answered again, for the same key", extra=noted)
        elif enrolment.others_live:
            _LOG.warning(
                "enrolled again: older certificates of this name stay valid until they expire",
                extra=noted | {"older_certificates": enrolment.others_live},
            )
        else:
            _LOG.info("enrolled", extra=noted)
        return enrolment.certificate_der

    def _spend(self, secret: bytes, key: ec.EllipticCurvePublicKey) -> Enrolment:
        now = self._clock()

        def sign(name: PartyName, hosts: Sequence[str]) -> x509.Certificate:
            return self._root.issue(key, name, now=now, days=self._leaf_days, hosts=hosts)

        return self._register.spend(secret_hash(secret), key, now, sign)

    def __repr__(self) -> str:
        return f"<AuthorityHandler of {self._root.root.trust_domain}>"
