"""A dishonest broker: the real daemon, its jobs and its catalogue subclassed, over real mutual TLS.

    with plotting(monkeypatch) as plot:      # every broker and node that starts in here
        answers = await plot.tell("a", Completion(…))

A `Plot` says what it does otherwise than an honest one; without more it only listens. The nodes are the
daemons themselves too: their runner notes what it was asked and what it answered, so that a test can wait for
an answer that is silence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count

import kapok.broker.app as broker_app
import kapok.nodes.app as node_app
from kapok.broker.catalogue import Catalogue
from kapok.broker.computation.assignments import AssignmentKey
from kapok.broker.computation.jobs import Jobs
from kapok.documents.envelope import decode
from kapok.documents.statements import REFUSAL_TYP, RefusalStatement
from kapok.errors import KapokError
from kapok.identity.names import PartyName
from kapok.nodes.runner import Outgoing, Refusal, Runner
from kapok.protocols.secure_sum.evidence import Evidence
from kapok.protocols.secure_sum.params import Verifier
from kapok.wire.messages import Assignment, CatalogueEntry, JobStatus, OpenAttempt

PATIENCE_S = 180.0
"""Only so that a test that hangs ends."""


_OUT_OF_TURN = "out of turn: "


@dataclass(frozen=True)
class Heard:
    """What a node sent: a consent, refusal, seal or release, and of a seal the chunks."""

    node: str
    verb: str
    job_id: str
    token: str
    chunks: list[bytes] = field(default_factory=list)


@dataclass(frozen=True)
class Handled:
    """An assignment that a node has come to an end with."""

    node: str
    assignment: Assignment
    answers: list[Outgoing]


@dataclass
class Plot:
    """What a broker does, sees and hears. Nodes are called by their organisation's letter.

    Attributes:
        show: What a node is shown in the place of an assignment; None: it is withheld.
        shown: What a caller is shown in the place of an entry of the catalogue.
        status: What an analyst is shown in the place of a job's status.
        evidence: In the place of a sum's evidence.
        chunk: In the place of one chunk of a sum.
        keeps: Whether the honest half gets what a node sent.
        ciphertexts: What each node fetches as the parameters of a round that it was told of out of turn.
        answers: What a node sends in the place of its answers: a dishonest node.
        heard: All that nodes sent.
        handled: All that nodes have come to an end with.
    """

    show: Callable[[str, Assignment], Assignment | None] = lambda _node, assignment: assignment
    shown: Callable[[CatalogueEntry], CatalogueEntry] = lambda entry: entry
    status: Callable[[JobStatus], JobStatus] = lambda status: status
    evidence: Callable[[Evidence], Evidence] = lambda evidence: evidence
    chunk: Callable[[bytes], bytes] = lambda chunk: chunk
    keeps: Callable[[Heard], bool] = lambda _heard: True
    ciphertexts: dict[str, bytes] = field(default_factory=dict)
    answers: Callable[[str, list[Outgoing]], list[Outgoing]] = lambda _node, answers: answers
    heard: list[Heard] = field(default_factory=list)
    handled: list[Handled] = field(default_factory=list)
    runners: dict[str, Runner] = field(default_factory=dict)
    _pushed: dict[str, dict[AssignmentKey, Assignment]] = field(default_factory=dict)
    _jobs: Jobs | None = None
    _number: Iterator[int] = field(default_factory=lambda: count(1))

    async def tell(self, node: str, assignment: Assignment) -> list[Outgoing]:
        """Ask something of a node out of turn; return its answers, once it has come to an end with it."""
        if isinstance(assignment, OpenAttempt) and assignment.parameters is not None:
            self.ciphertexts[node] = assignment.parameters.ciphertext
        seen, key = len(self.handled), ("pushed", "", 0, next(self._number))
        self._pushed.setdefault(node, {})[key] = assignment
        self.wake(node)
        async with asyncio.timeout(PATIENCE_S):
            while True:
                for one in self.handled[seen:]:
                    if (one.node, one.assignment) == (node, assignment):
                        del self._pushed[node][key]
                        return one.answers
                await asyncio.sleep(0.01)

    def wake(self, *nodes: str) -> None:
        """Have the broker look again at what these nodes owe."""
        context = self._jobs._context
        names = [name for name in self.runners if letter(name) in nodes]
        context._announce(frozenset(names), frozenset())

    async def until(self, verb: str, nodes: str, job_id: str) -> list[Heard]:
        """What each of these nodes sent under that verb for that job, the last of each, once all have."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                found = {one.node: one for one in self.heard if (one.verb, one.job_id) == (verb, job_id)}
                if set(nodes) <= found.keys():
                    return [found[node] for node in nodes]
                await asyncio.sleep(0.01)

    def honest(self) -> None:
        """Give up all that is dishonest, and forget what was heard: what another attack starts from."""
        fresh = Plot()
        for name in ("show", "shown", "status", "evidence", "chunk", "keeps", "answers", "heard", "handled"):
            setattr(self, name, getattr(fresh, name))
        self._pushed.clear()
        self.ciphertexts.clear()

    def vector_of(self, node: str) -> list[bytes]:
        """The chunks of the last vector that a node has sent."""
        return [one for one in self.heard if (one.verb, one.node) == ("seal", node)][-1].chunks

    def sent(self, verb: str, job_id: str = "") -> list[str]:
        """Which nodes have sent something under that verb, for that job or at all."""
        return [one.node for one in self.heard if one.verb == verb and job_id in (one.job_id, "")]


def letter(name: str) -> str:
    """What a node is called here."""
    return PartyName.parse(name).organisation


def refusal_code(answers: list[Outgoing], verifier: Verifier) -> str:
    """The code of the one refusal that a node answered, as it signed it."""
    [answer] = answers
    assert isinstance(answer, Refusal), answer
    return decode(RefusalStatement, verifier.verify(REFUSAL_TYP, answer.token).payload).code


@contextmanager
def plotting(monkeypatch) -> Iterator[Plot]:
    """Brokers that start in here follow the plot, and nodes are listened to."""
    plot = Plot()

    class DishonestJobs(_DishonestJobs):
        pass

    class DishonestCatalogue(Catalogue):
        def _entry(self, tx, row):
            return plot.shown(super()._entry(tx, row))

    def runner(context) -> Runner:
        node = letter(context.name)
        made = plot.runners[context.name] = _Listened(context)
        made.plot, made.letter = plot, node
        return made

    DishonestJobs.plot = plot
    monkeypatch.setattr(broker_app, "Jobs", DishonestJobs)
    monkeypatch.setattr(broker_app, "Catalogue", DishonestCatalogue)
    monkeypatch.setattr(node_app, "Runner", runner)
    yield plot


class _Listened(Runner):
    """A node's runner that notes what it has done, and says something else where the plot wants it."""

    plot: Plot
    letter: str

    def handle(self, assignment):
        answers = self.plot.answers(self.letter, super().handle(assignment))
        self.plot.handled.append(Handled(self.letter, assignment, answers))
        return answers


class _DishonestJobs(Jobs):
    """Its jobs, with a plot."""

    plot: Plot

    def __init__(self, context) -> None:
        super().__init__(context)
        self.plot._jobs = self

    def assignments(self, nodes) -> dict[str, dict[AssignmentKey, Assignment]]:
        return {node: self._shown(node, owed) for node, owed in super().assignments(nodes).items()}

    def _shown(self, node: str, owed: dict[AssignmentKey, Assignment]) -> dict[AssignmentKey, Assignment]:
        shown = {key: self.plot.show(letter(node), assignment) for key, assignment in owed.items()}
        return {key: one for key, one in shown.items() if one is not None} | self.plot._pushed.get(
            letter(node), {}
        )

    def consent(self, caller, job_id, token) -> None:
        self._hear("consent", super().consent, caller, job_id, token)

    def refuse(self, caller, job_id, token) -> None:
        self._hear("refuse", super().refuse, caller, job_id, token)

    def release(self, caller, job_id, token) -> None:
        self._hear("release", super().release, caller, job_id, token)

    def _hear(self, verb, honest, caller, job_id, token) -> None:
        heard = Heard(letter(str(caller)), verb, job_id, token)
        self.plot.heard.append(heard)
        if self.plot.keeps(heard):
            honest(caller, job_id, token)

    def begin_upload(self, caller, job_id, token):
        heard = Heard(letter(str(caller)), "seal", job_id, token)
        honest = None
        if self.plot.keeps(heard):
            # Of an attempt that only the dishonest half knows it takes the vector all the same.
            with suppress(KapokError):
                honest = super().begin_upload(caller, job_id, token)
        return _Tapped(self.plot, heard, honest)

    def parameters(self, caller, job_id, number, attempt):
        if letter(str(caller)) in self.plot.ciphertexts:
            return f"{_OUT_OF_TURN}{letter(str(caller))}", 1
        return super().parameters(caller, job_id, number, attempt)

    def parameters_chunk(self, upload, number) -> bytes:
        if upload.startswith(_OUT_OF_TURN):
            return self.plot.ciphertexts[upload.removeprefix(_OUT_OF_TURN)]
        return super().parameters_chunk(upload, number)

    def evidence(self, caller, job_id):
        evidence, chunks = super().evidence(caller, job_id)
        return self.plot.evidence(evidence), chunks

    def sum_chunk(self, caller, job_id, number) -> bytes:
        return self.plot.chunk(super().sum_chunk(caller, job_id, number))

    def job(self, caller, job_id) -> JobStatus:
        return self.plot.status(super().job(caller, job_id))


class _Tapped:
    """An upload that is listened to on its way to the honest half, or without one."""

    def __init__(self, plot: Plot, heard: Heard, honest) -> None:
        self._plot, self._heard, self._honest = plot, heard, honest
        self.job_id = heard.job_id

    def add(self, chunks) -> None:
        if self._honest is not None:
            self._honest.add(chunks)
        self._heard.chunks.extend(chunks)

    def finish(self, chunks=()) -> None:
        if self._honest is not None:
            self._honest.finish(chunks)
        self._heard.chunks.extend(chunks)
        self._plot.heard.append(self._heard)

    def abandon(self, error) -> None:
        if self._honest is not None:
            self._honest.abandon(error)
