"""Inquiries on their way: how the nodes would judge a question, asked and answered in memory alone.

    analyst ── Explain(inquiry) ──▶ bell of each connected member ──▶ its watch: Inquiry
            ◀── opinion ◀──────────────────────────────────────────── GiveOpinion(opinion)

Nothing of it is stored: an inquiry that is lost costs nobody anything. Everything here runs on the event
loop; signatures are verified in the worker's thread. Bounded: open inquiries of an organisation and of all,
and their time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Final

from kapok.broker.line import Bells, Presence, Worker
from kapok.documents.envelope import decode, document_id
from kapok.documents.statements import INQUIRY_TYP, OPINION_TYP, JobSpec, OpinionStatement
from kapok.errors import InvalidInput, NotAuthorised, Unavailable
from kapok.identity.names import PartyName
from kapok.protocols.secure_sum.params import MOST_MEMBERS, Verifier
from kapok.wire.messages import Inquiry

__all__ = ["Inquiries"]

_OPEN_S: Final = 10.0
_MOST_OPEN: Final = 64
_MOST_OF_ONE: Final = 2


@dataclass(eq=False, slots=True)
class _Open:
    """An inquiry under way.

    Attributes:
        organisation: Of the analyst who asks.
        waiting: Names of the nodes whose opinion has not come.
        came: Opinions for the analyst.
    """

    token: str
    organisation: str
    waiting: set[str]
    came: asyncio.Queue[str] = field(default_factory=asyncio.Queue)


class Inquiries:
    """The inquiries that are open just now.

    Args:
        worker: Where signatures are verified.
        verifier: Believes nothing without a signature.
        bells: Rings for the nodes that are asked.
        presence: Knows who is connected: nobody else is asked.
        open_s: How long opinions are waited for.
    """

    def __init__(
        self, worker: Worker, verifier: Verifier, bells: Bells, presence: Presence, open_s: float = _OPEN_S
    ) -> None:
        self._worker = worker
        self._verifier = verifier
        self._bells = bells
        self._presence = presence
        self._open_s = open_s
        self._open: dict[str, _Open] = {}

    async def explain(self, caller: PartyName, token: str) -> AsyncIterator[str]:
        """Put an inquiry to its connected members; yield opinions as they come, each verified.

        Raises:
            IdentityInvalid, NotAuthorised, PeerProtocolError: the inquiry is not the caller's own.
            InvalidInput: ``bad_members``; ``duplicate_inquiry`` is open just now.
            Unavailable: ``too_many_open_inquiries``.
        """
        inquiry_id, members = await self._worker.run(self._read, caller, token)
        asked = {member for member in members if self._presence.connected(member)}
        with self._opened(inquiry_id, _Open(token, caller.organisation_id, asked)) as inquiry:
            self._bells.announce(asked, ())
            until = asyncio.get_running_loop().time() + self._open_s
            while inquiry.waiting or not inquiry.came.empty():
                try:
                    async with asyncio.timeout_at(until):
                        opinion = await inquiry.came.get()
                except TimeoutError:
                    return
                yield opinion

    def owed(self, node: str) -> dict[str, Inquiry]:
        """The inquiries that wait for a node's opinion, by identity."""
        return {key: Inquiry(one.token) for key, one in self._open.items() if node in one.waiting}

    async def give(self, caller: PartyName, inquiry_id: str, token: str) -> None:
        """Pass a node's opinion on. One that nobody waits for any more is dropped.

        Raises:
            IdentityInvalid, NotAuthorised, PeerProtocolError: it is not the caller's own.
        """
        inquiry = self._open.get(inquiry_id)
        if inquiry is None or str(caller) not in inquiry.waiting:
            return
        await self._worker.run(self._check_opinion, caller, inquiry_id, token)
        if str(caller) in inquiry.waiting:
            inquiry.waiting.discard(str(caller))
            inquiry.came.put_nowait(token)

    @contextlib.contextmanager
    def _opened(self, inquiry_id: str, inquiry: _Open) -> Iterator[_Open]:
        if inquiry_id in self._open:
            raise InvalidInput(
                "this very inquiry is open already", code="duplicate_inquiry", remedy="sign another"
            )
        of_one = sum(one.organisation == inquiry.organisation for one in self._open.values())
        if of_one >= _MOST_OF_ONE or len(self._open) >= _MOST_OPEN:
            raise Unavailable(
                "this broker has as many open inquiries as it takes",
                code="too_many_open_inquiries",
                remedy=f"try again in {self._open_s:g} s",
            )
        self._open[inquiry_id] = inquiry
        try:
            yield inquiry
        finally:
            del self._open[inquiry_id]

    def _read(self, caller: PartyName, token: str) -> tuple[str, tuple[str, ...]]:
        signed = self._verifier.verify(INQUIRY_TYP, token)
        specification = decode(JobSpec, signed.payload, party=signed.signer.name)
        for signer in (signed.signer.name, str(caller)):
            specification.check_signer(signer)
        members = specification.members
        if not 0 < len(members) <= MOST_MEMBERS or len(set(members)) != len(members):
            raise InvalidInput(
                f"an inquiry names 1 to {MOST_MEMBERS} different nodes",
                code="bad_members",
                clause="specification.members",
                remedy="name each node once",
            )
        return document_id(signed.payload), members

    def _check_opinion(self, caller: PartyName, inquiry_id: str, token: str) -> None:
        signed = self._verifier.verify(OPINION_TYP, token)
        statement = decode(OpinionStatement, signed.payload, party=signed.signer.name)
        if signed.signer.name != str(caller) or statement.inquiry != inquiry_id:
            raise NotAuthorised(
                "the opinion is another node's, or on another inquiry",
                code="not_the_signer",
                party=str(caller),
            )
