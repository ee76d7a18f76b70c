"""Inquiries on their way: how the nodes would judge a question.

    analyst ── Explain(inquiry) ──▶ wakeup of each connected member ──▶ its watch: Inquiry
            ◀── opinion ◀──────────────────────────────────────────── GiveOpinion(opinion)

An inquiry lies in the store while its analyst waits, so that it also reaches nodes that are connected to
another broker process; one that is lost costs nobody anything. Bounded: open inquiries of an organisation and
of all, and their time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import suppress
from typing import Final

from kapok.broker.computation.context import Context
from kapok.broker.store.schema import InquiryRow
from kapok.broker.wakeups import Wakeups, woken
from kapok.broker.worker import Worker
from kapok.documents.envelope import decode, document_id
from kapok.documents.statements import INQUIRY_TYP, OPINION_TYP, JobSpec, OpinionStatement
from kapok.errors import InvalidInput, KapokError, NotAuthorised, Unavailable
from kapok.identity.names import PartyName
from kapok.protocols.secure_sum.params import MOST_MEMBERS
from kapok.wire.messages import Inquiry

__all__ = ["Inquiries"]

_OPEN_S: Final = 10.0
_MOST_OPEN: Final = 64
_MOST_OF_ONE: Final = 2


class Inquiries:
    """The inquiries that are open just now.

    Args:
        context: Store and verifier.
        worker: The thread of the logic.
        wakeups: Says when an opinion may have come.
        connected: Whether a node is connected just now: nobody else is asked.
        open_s: How long opinions are waited for.
    """

    def __init__(
        self,
        context: Context,
        worker: Worker,
        wakeups: Wakeups,
        connected: Callable[[str], bool],
        open_s: float = _OPEN_S,
    ) -> None:
        self._context = context
        self._worker = worker
        self._wakeups = wakeups
        self._connected = connected
        self._open_s = open_s

    async def explain(self, caller: PartyName, token: str) -> AsyncIterator[str]:
        """Put an inquiry to its connected members; yield opinions as they come, each verified.

        Raises:
            IdentityInvalid, NotAuthorised, PeerProtocolError: the inquiry is not the caller's own.
            InvalidInput: ``bad_members``; ``duplicate_inquiry`` is open just now.
            Unavailable: ``too_many_open_inquiries``.
        """
        inquiry_id, members = await self._worker.run(self._read, caller, token)
        asked = {member for member in members if self._connected(member)}
        is_open = True
        try:
            with self._wakeups.listen(inquiry_id) as wakeup:
                try:
                    await self._worker.run(self._open, caller, inquiry_id, token, asked)
                except KapokError:
                    is_open = False
                    raise
                async for opinion in self._coming(inquiry_id, asked, wakeup):
                    yield opinion
        finally:
            # Also if the caller left while it was being opened: the worker does one after the other. What
            # cannot be deleted now goes with this process.
            if is_open:
                with suppress(KapokError):
                    await asyncio.shield(self._worker.run(self._close, inquiry_id))

    async def _coming(
        self, inquiry_id: str, asked: Collection[str], wakeup: asyncio.Event
    ) -> AsyncIterator[str]:
        told: set[str] = set()
        loop = asyncio.get_running_loop()
        until = loop.time() + self._open_s
        while True:
            wakeup.clear()
            for node, opinion in (await self._worker.run(self._opinions, inquiry_id)).items():
                if opinion is not None and node not in told:
                    told.add(node)
                    yield opinion
            if told == asked or not await woken(wakeup, until - loop.time()):
                return

    def owed(self, nodes: Collection[str]) -> dict[str, dict[str, Inquiry]]:
        """For each of these nodes the inquiries that wait for its opinion, by identity."""
        with self._context.store.snapshot() as tx:
            owed = tx.inquiries.owed_by(nodes)
        return {node: {one: Inquiry(token) for one, token in some.items()} for node, some in owed.items()}

    def give(self, caller: PartyName, inquiry_id: str, token: str) -> None:
        """Keep a node's opinion for who asked. One that nobody waits for any more is dropped.

        Raises:
            IdentityInvalid, NotAuthorised, PeerProtocolError: it is not the caller's own.
        """
        with self._context.store.snapshot() as tx:
            asked = tx.inquiries.asked(inquiry_id, str(caller))
            if asked is None or asked.opinion is not None:
                return
        self._check_opinion(caller, inquiry_id, token)
        with self._context.step() as step:
            asked = step.tx.inquiries.asked(inquiry_id, str(caller))
            if asked is not None and asked.opinion is None:
                asked.opinion = token
                step.jobs[inquiry_id] = None

    def _open(self, caller: PartyName, inquiry_id: str, token: str, asked: Collection[str]) -> None:
        with self._context.step() as step:
            inquiries, organisation = step.tx.inquiries, caller.organisation_id
            if inquiries.get(inquiry_id) is not None:
                raise InvalidInput(
                    "this very inquiry is open already", code="duplicate_inquiry", remedy="sign another"
                )
            if inquiries.count(organisation) >= _MOST_OF_ONE or inquiries.count() >= _MOST_OPEN:
                raise Unavailable(
                    "this broker has as many open inquiries as it takes",
                    code="too_many_open_inquiries",
                    remedy=f"try again in {self._open_s:g} s",
                    retry_after_s=self._open_s,
                )
            step.tx.brokers.seen(self._context.broker)  # it may have been taken for dead
            row = InquiryRow(
                id=inquiry_id, organisation=organisation, token=token, broker=self._context.broker
            )
            inquiries.open(row, asked)
            step.nodes.update(asked)

    def _opinions(self, inquiry_id: str) -> dict[str, str | None]:
        with self._context.store.snapshot() as tx:
            return tx.inquiries.opinions(inquiry_id)

    def _close(self, inquiry_id: str) -> None:
        with self._context.step() as step:
            step.tx.inquiries.close(inquiry_id)

    def _read(self, caller: PartyName, token: str) -> tuple[str, tuple[str, ...]]:
        signed = self._context.verifier.verify(INQUIRY_TYP, token)
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
        signed = self._context.verifier.verify(OPINION_TYP, token)
        statement = decode(OpinionStatement, signed.payload, party=signed.signer.name)
        if signed.signer.name != str(caller) or statement.inquiry != inquiry_id:
            raise NotAuthorised(
                "the opinion is another node's, or on another inquiry",
                code="not_the_signer",
                party=str(caller),
            )
