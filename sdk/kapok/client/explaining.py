"""What the holders would say to a question, before it is asked: nothing is spent, nothing counts.

    question ─▶ the specification it would have, signed as an inquiry ─▶ each connected node's signed opinion

An inquiry is signed under a type of its own, so nobody can make a job of it, and what would open its sum is
thrown away. A node answers what it would answer to an offer, by its policy alone.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from kapok.client.imports import import_for_asking
from kapok.client.opening import read_specification
from kapok.computations.registry import computation
from kapok.documents.envelope import decode
from kapok.documents.statements import INQUIRY_TYP, OPINION_TYP, OpinionStatement
from kapok.errors import KapokError, PeerProtocolError

if TYPE_CHECKING:
    from kapok.client.catalogue import VerifiedDataset
    from kapok.client.progress import Listener
    from kapok.client.submission import Request
    from kapok.client.workspace import Workspace
    from kapok.computations.registry import Asked
    from kapok.protocols.secure_sum.params import Verifier

__all__ = ["INQUIRY_S", "Explanation", "Opinion", "explain", "explanation_of", "read_opinion"]

INQUIRY_S: Final = 60
"""How long a node that was delayed may still take an inquiry for one of now."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one node would say.

    Attributes:
        node: Its name.
        approval: Of a question that it would allow: ``automatic``, or ``manual`` where its officer would
            decide; None of one that it would refuse.
        refusal: The refusal, with code, clause and what would satisfy it; None of one that it would allow.
    """

    node: str
    approval: Literal["automatic", "manual"] | None
    refusal: KapokError | None

    @property
    def allowed(self) -> bool:
        """Whether it would allow the question, be it after its officer's approval."""
        return self.refusal is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A question, and what each of its nodes would say.

    Attributes:
        question: Its canonical text, as nodes parse it.
        in_words: As data holders read it.
        operations: What it does with columns, as policies list it.
        columns: Names of the columns that it reads.
        words: Number of words that each node would send.
        opinions: One for each node that answered, sorted by name.
        silent: Names of the nodes that would be asked and gave no opinion, sorted.
        not_connected: Those of them that were not connected, as the broker says.
    """

    question: str
    in_words: str
    operations: tuple[str, ...]
    columns: tuple[str, ...]
    words: int
    opinions: tuple[Opinion, ...]
    silent: tuple[str, ...]
    not_connected: tuple[str, ...]

    @property
    def allowed(self) -> bool:
        """Whether every node would allow it."""
        return not self.silent and all(opinion.allowed for opinion in self.opinions)


def read_opinion(token: str, inquiry_id: str, members: Iterable[str], verifier: Verifier) -> Opinion:
    """Verify one opinion.

    Raises:
        PeerProtocolError: ``forged_opinion``: no node that was asked has signed it of this inquiry.
    """
    try:
        signed = verifier.verify(OPINION_TYP, token)
        statement = decode(OpinionStatement, signed.payload)
    except KapokError as error:
        raise _forged(error.message) from None
    node = signed.signer.name
    if statement.inquiry != inquiry_id or node not in members:
        raise _forged("it is on another inquiry, or of a node that was not asked")
    refusal = statement.refusal.error(node) if statement.refusal else None
    return Opinion(node, statement.approval, refusal)


def explanation_of(
    question: Asked, opinions: Iterable[Opinion], members: Iterable[str], not_connected: Iterable[str]
) -> Explanation:
    """Put a question and the opinions on it together."""
    by_node = {opinion.node: opinion for opinion in opinions}
    silent = tuple(sorted(set(members) - by_node.keys()))
    return Explanation(
        question=question.text,
        in_words=question.describe(),
        operations=question.operations,
        columns=question.columns,
        words=question.words,
        opinions=tuple(by_node[node] for node in sorted(by_node)),
        silent=silent,
        not_connected=tuple(sorted(set(silent) & set(not_connected))),
    )


async def explain(
    workspace: Workspace, request: Request, dataset: VerifiedDataset, progress: Listener
) -> Explanation:
    """Sign the inquiry, put it to the nodes, and verify what they say. See `AsyncSession.explain`."""
    import_for_asking(request.computation)
    record = await asyncio.to_thread(workspace.specify, request, dataset, progress, INQUIRY_TYP)
    specification = read_specification(record.specification, workspace.verifier, INQUIRY_TYP)[1]
    broker = await workspace.connection.broker()
    async with contextlib.aclosing(broker.analyst.explain(record.specification)) as tokens:
        opinions = [
            read_opinion(token, record.job_id, specification.members, workspace.verifier)
            async for token in tokens
        ]
    question = await asyncio.to_thread(
        computation(specification.computation).parse, specification.question, dataset.schema
    )
    not_connected = [str(member.name) for member in dataset.members if not member.connected]
    return explanation_of(question, opinions, specification.members, not_connected)


def _forged(why: str) -> PeerProtocolError:
    return PeerProtocolError(
        f"the broker shows an opinion that it cannot have from a node of this inquiry: {why}",
        code="forged_opinion",
        remedy="do not trust this broker's word; ask the nodes' people, and the broker's",
    )
