"""What every step of the logic works with, and the step: one transaction, one instant, whom to tell."""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

from kapok.broker.computation.admitted import AdmittedJob, read_admitted
from kapok.broker.computation.states import JobState
from kapok.broker.settings import Limits
from kapok.broker.store import Store, Transaction
from kapok.broker.store.brokers import BROKER_DIGITS
from kapok.broker.store.schema import AttemptRow, JobRow
from kapok.identity.names import PartyName
from kapok.protocols.secure_sum.aggregator import open_roster
from kapok.protocols.secure_sum.params import Verifier
from kapok.protocols.secure_sum.roster import Roster

__all__ = ["FIRST_ROUND", "Announce", "Move", "Observe", "Office", "Step"]

FIRST_ROUND: Final = 1

Announce = Callable[[frozenset[str], frozenset[str]], None]
"""Told after each change that is on disk: nodes that may owe something new, and jobs that have changed."""


@dataclass(frozen=True, slots=True)
class Move:
    """That a job came to a state.

    Attributes:
        left: The state before; None for a new job.
        to: The state.
        in_state_s: How long it was in the state before.
        age_s: How long ago it was submitted.
    """

    left: JobState | None
    to: JobState
    in_state_s: float
    age_s: float


Observe = Callable[[Sequence[Move]], None]
"""Told after each change that is on disk which jobs came to which states."""

_MOST_CACHED: Final = 512
_Value = TypeVar("_Value")


class Step:
    """One change of state.

    Attributes:
        office: Where it happens.
        tx: Its transaction.
        now: Its instant.
    """

    def __init__(self, office: Office, tx: Transaction, now: float) -> None:
        self.office = office
        self.tx = tx
        self.now = now
        self.nodes: set[str] = set()
        self.jobs: set[str] = set()
        self.moves: list[Move] = []

    def touch(self, job: JobRow, nodes: Iterable[str] = ()) -> None:
        """Note that a job's analyst wants to know, and that these nodes may owe something new."""
        self.jobs.add(job.id)
        self.nodes.update(nodes)

    def touch_all(self, job: JobRow) -> None:
        """Note that a job's analyst and all its nodes want to know."""
        self.touch(job, (member.node for member in self.tx.jobs.members(job.id)))


class Office:
    """Store, verifier, clock and limits of one broker.

    Attributes:
        store: What is durable.
        verifier: Believes nothing without a signature.
        limits: Bounds and times.
        broker: This process, among those on the same store; another at each start.
        connected: Whether a node is connected just now. What follows from it is whom a training goes on
            without, and wording; nobody's secrecy rests on it.
    """

    def __init__(
        self,
        store: Store,
        verifier: Verifier,
        clock: Callable[[], float],
        limits: Limits,
        *,
        announce: Announce | None = None,
        connected: Callable[[str], bool] | None = None,
        observe: Observe | None = None,
    ) -> None:
        self.store = store
        self.verifier = verifier
        self.limits = limits
        self.broker = secrets.token_hex(BROKER_DIGITS // 2)
        self.connected = connected
        self.clock = clock
        self._announce, self._observe = announce, observe
        self._away: dict[str, float] = {}
        self._admitted: OrderedDict[str, AdmittedJob] = OrderedDict()
        self._rosters: OrderedDict[str, Roster] = OrderedDict()

    def absent(self, node: str) -> bool:
        """Whether a node is known not to be connected just now."""
        return self.connected is not None and not self.connected(node)

    def away_s(self, node: str) -> float:
        """For how long whoever asks this now and then has seen a node not to be connected; 0 while it is."""
        if not self.absent(node):
            self._away.pop(node, None)
            return 0.0
        return self.clock() - self._away.setdefault(node, self.clock())

    @contextmanager
    def step(self) -> Iterator[Step]:
        """Change something: durable when the block is left, then announced; nothing at all if it raises."""
        with self.store.transaction() as tx:
            step = Step(self, tx, self.clock())
            yield step
            tx.announce(step.nodes | step.jobs)
        if self._observe and step.moves:
            self._observe(step.moves)
        if self._announce and (step.nodes or step.jobs):
            self._announce(frozenset(step.nodes), frozenset(step.jobs))

    def leads(self, tx: Transaction, work: str) -> bool:
        """Whether some work that one process does at a time is this one's: it is taken, if nobody has it."""
        return not self.store.shared or tx.brokers.take(work, self.broker)

    def admitted(self, job: JobRow) -> AdmittedJob:
        """A stored job's specification and terms."""
        return _cached(
            self._admitted, job.id, lambda: read_admitted(job.id, PartyName.parse(job.analyst), job.payload)
        )

    def params_hash(self, tx: Transaction, job: AdmittedJob, attempt: AttemptRow) -> bytes:
        """What an attempt's seals must carry: the question's hash, or that of its round's parameters."""
        if not job.specification.has_parameters(attempt.round):
            return job.params_hash
        parameters = tx.attempts.parameters(attempt.id)
        if parameters is None:
            raise AssertionError("an attempt is sealed before its round's parameters have come")
        return bytes.fromhex(parameters.hash)

    def roster(self, job: AdmittedJob, consents: Sequence[str]) -> Roster:
        """The verified roster that these consents make up.

        Raises:
            IdentityInvalid: a signature or certificate does not hold.
            PeerProtocolError: a consent is malformed, or two of them are at odds; names the party.
        """
        digest = hashlib.sha256("\n".join((job.job_id, *consents)).encode()).hexdigest()
        return _cached(self._rosters, digest, lambda: open_roster(job.terms, consents, self.verifier))


def _cached(cache: OrderedDict[str, _Value], key: str, make: Callable[[], _Value]) -> _Value:
    found = cache.get(key)
    if found is None:
        found = cache[key] = make()
        if len(cache) > _MOST_CACHED:
            cache.popitem(last=False)
    return found
