"""What every step of the logic works with, and the step: one transaction, one instant, whom to tell."""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Final, Generic, TypeVar

from kapok.broker.computation.admitted import AdmittedJob, read_admitted
from kapok.broker.computation.states import JobState
from kapok.broker.settings import Limits
from kapok.broker.store import Store, Transaction
from kapok.broker.store.brokers import BROKER_DIGITS
from kapok.broker.store.schema import AttemptRow, JobRow
from kapok.errors import InvalidInput, PeerProtocolError
from kapok.identity.names import PartyName
from kapok.logs.lasting import Lasting
from kapok.protocols.secure_sum.aggregator import open_roster
from kapok.protocols.secure_sum.params import Verifier
from kapok.protocols.secure_sum.roster import Roster

__all__ = ["FIRST_ROUND", "Announce", "Move", "Observe", "Context", "Step"]

FIRST_ROUND: Final = 1
_log = logging.getLogger(__name__)

Announce = Callable[[frozenset[str], tuple[str, ...]], None]
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

# What is read once for all members of a job: so many members of jobs or attempts, all together. A job's
# signed specification, which is kept as text, weighs as much as the ten members of a common job, and more
# where it is long: it is of use while the job runs, as everything here.
_MOST_CACHED: Final = 4096
_SPECIFICATION: Final = 10
_MEMBER_BYTES: Final = 4096
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class _Cache(Generic[_Key, _Value]):
    """Values by key, the last that were used, up to a weight in all; the newest whatever it weighs.

    Any thread may clear it: what another makes meanwhile is given to who asked, and not kept.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._cleared = 0
        self._kept: OrderedDict[_Key, tuple[int, _Value]] = OrderedDict()
        self._weight = 0

    def get(self, key: _Key, make: Callable[[], _Value], weigh: Callable[[_Value], int]) -> _Value:
        """The value, made if it is not there."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key][1]
            cleared = self._cleared
        value = make()
        weight = weigh(value)
        with self._lock:
            if cleared == self._cleared and key not in self._kept:
                self._kept[key] = (weight, value)
                self._weight += weight
            while self._weight > _MOST_CACHED and len(self._kept) > 1:
                _, (less, _) = self._kept.popitem(last=False)
                self._weight -= less
        return value

    def clear(self) -> None:
        """Keep nothing."""
        with self._lock:
            self._cleared += 1
            self._kept.clear()
            self._weight = 0


class Step:
    """One change of state.

    Attributes:
        context: Where it happens.
        tx: Its transaction.
        now: Its instant.
    """

    def __init__(self, context: Context, tx: Transaction, now: float) -> None:
        self.context = context
        self.tx = tx
        self.now = now
        self.nodes: set[str] = set()
        # In the order in which they were touched: their ids are drawn, and order nothing.
        self.jobs: dict[str, None] = {}
        self.moves: list[Move] = []
        self.lines: list[Callable[[], None]] = []

    def log(self, level: int, message: str, extra: Mapping[str, object]) -> None:
        """Write a line of the log once this change is on disk, about whom it is now; none if it is lost."""
        self.lines.append(partial(copy_context().run, _log.log, level, message, extra=extra))

    def touch(self, job: JobRow, nodes: Iterable[str] = ()) -> None:
        """Note that a job's analyst wants to know, and that these nodes may owe something new."""
        self.jobs[job.id] = None
        self.nodes.update(nodes)

    def touch_all(self, job: JobRow) -> None:
        """Note that a job's analyst and all its nodes want to know."""
        self.touch(job, [member.node for member in self.tx.jobs.members(job.id)])


class Context:
    """Store, verifier, clock and limits of one broker.

    Attributes:
        store: What is durable.
        verifier: Believes nothing without a signature.
        limits: Bounds and times.
        broker: This process, among those on the same store; another at each start.
        connected: Whether a node is connected just now. What follows from it is whom a training goes on
            without, and wording; nobody's secrecy rests on it.
        failing: Tells of what is tried again at each tick.
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
        self.failing = Lasting(_log)
        self._announce, self._observe = announce, observe
        self._away: dict[str, float] = {}
        self._admitted: _Cache[str, AdmittedJob] = _Cache()
        self._tokens: _Cache[str, str] = _Cache()
        self._rosters: _Cache[str, Roster] = _Cache()
        self._of_attempts: _Cache[int, Roster] = _Cache()
        self._consents: _Cache[int, tuple[str, ...]] = _Cache()
        self._seals: _Cache[int, tuple[str, ...]] = _Cache()
        store.taken_back = self._forget_attempts

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
            tx.announce((*step.nodes, *step.jobs))
        # Not before: who is woken looks at once, and would find the state of before.
        self.store.when_on_disk(partial(self._tell, step))

    def _tell(self, step: Step) -> None:
        for line in step.lines:
            line()
        if self._observe and step.moves:
            self._observe(step.moves)
        if self._announce and (step.nodes or step.jobs):
            self._announce(frozenset(step.nodes), tuple(step.jobs))

    def _forget_attempts(self) -> None:
        """An attempt that is not on disk leaves its number to another, with members of its own."""
        for cache in (self._of_attempts, self._consents, self._seals):
            cache.clear()

    @contextmanager
    def look(self) -> Iterator[Step]:
        """Read at one instant: nothing that is changed within is kept, and nobody is told."""
        with self.store.snapshot() as tx:
            yield Step(self, tx, self.clock())

    def leads(self, tx: Transaction, work: str) -> bool:
        """Whether some work that one process does at a time is this one's: it is taken, if nobody has it."""
        return not self.store.shared or tx.brokers.take(work, self.broker)

    def admitted(self, tx: Transaction, job: JobRow) -> AdmittedJob:
        """A stored job's specification and terms."""
        return self._admitted.get(
            job.id,
            lambda: read_admitted(job.id, PartyName.parse(job.analyst), tx.jobs.payload(job.id)),
            lambda admitted: len(admitted.specification.members),
        )

    def readable(self, tx: Transaction, job: JobRow) -> AdmittedJob | None:
        """The same, for who looks at many jobs; None for one that this version cannot read, and that is told.

        Such a job is shown as it is on record, goes no further, and ends by its analyst or its deadline.
        """
        try:
            return self.admitted(tx, job)
        except (InvalidInput, PeerProtocolError) as error:
            what = "what is on record of a job cannot be read"
            extra = {"job": job.id}
            self.failing.tell((job.id, "unreadable"), what, extra, level=logging.ERROR, error=error)
            return None

    def specification(self, tx: Transaction, job_id: str) -> str:
        """A stored job's specification as its analyst signed it, which may be long."""
        return self._tokens.get(
            job_id,
            lambda: tx.jobs.specification(job_id),
            lambda token: _SPECIFICATION + len(token) // _MEMBER_BYTES,
        )

    def consents(self, tx: Transaction, attempt_id: int) -> tuple[str, ...]:
        """The consents of an attempt that was opened by an earlier step, as signed."""
        return self._consents.get(
            attempt_id, lambda: tuple(seat.consent for seat in tx.attempts.roster(attempt_id)), len
        )

    def seals(self, tx: Transaction, attempt_id: int) -> tuple[str, ...]:
        """The seals of an attempt that an earlier step has completed, as signed."""
        return self._seals.get(attempt_id, lambda: _seals(tx, attempt_id), len)

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
        return self._rosters.get(
            digest,
            lambda: open_roster(job.terms, consents, self.verifier),
            lambda roster: len(roster.members),
        )

    def roster_of(self, tx: Transaction, job: AdmittedJob, attempt: AttemptRow) -> Roster:
        """The verified roster of an attempt that was opened by an earlier step; it never changes.

        Raises:
            IdentityInvalid, PeerProtocolError: as `roster`.
        """
        return self._of_attempts.get(
            attempt.id,
            lambda: self.roster(job, self.consents(tx, attempt.id)),
            lambda roster: len(roster.members),
        )


def _seals(tx: Transaction, attempt_id: int) -> tuple[str, ...]:
    counted = tx.vectors.counted(attempt_id)
    return tuple(counted[node].token for node in sorted(counted, key=str.encode))
