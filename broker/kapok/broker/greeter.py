"""What proves to a caller which broker answers: signed with the certificate that the broker shows now."""

from __future__ import annotations

from collections.abc import Callable

from kapok.documents.envelope import JwsSigner, encode
from kapok.documents.statements import GREETING_TYP, Greeting
from kapok.identity.credentials import Credentials
from kapok.identity.names import PartyName
from kapok.identity.revocation import Revocations
from kapok.wire.messages import Greeted

__all__ = ["Greeter"]


class Greeter:
    """Signs greetings. See `kapok.wire.greeting` for what they prove.

    Args:
        current: Gives the credentials that count now.
        revocations: The list that is handed on.
    """

    def __init__(self, current: Callable[[], Credentials], revocations: Revocations) -> None:
        self._current, self._revocations = current, revocations
        self._known = current()
        self._signer = JwsSigner(self._known)

    def greet(self, caller: PartyName, nonce: bytes) -> Greeted:
        """Sign for a caller whom TLS has shown; never for another name."""
        if (now := self._current()) is not self._known:
            self._known = now
            self._signer.renew(now)
        token = self._signer.sign(GREETING_TYP, encode(Greeting(str(caller), nonce)))
        newest = self._revocations.current
        return Greeted(token, newest.der if newest is not None else None)
