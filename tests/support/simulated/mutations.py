"""Small breakages of the product, each of which some invariant must notice: else it would be none.

Each takes away one thing that a few lines of the product take care of. `tests/simulation` lets the storm find
every one; ``make simulate SEEDS=0:100 ARGS="--break NAME"`` counts in how many seeds it does.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final
from unittest.mock import patch

from kapok.broker.computation import admission, deadlines, gathering, jobs, releasing, rosters
from kapok.broker.computation.context import Step
from kapok.broker.computation.states import ENDED, JobState
from kapok.broker.store.jobs import JobTable
from kapok.client.jobs import JobFolder
from kapok.client.session import AsyncSession
from kapok.nodes.journal import Journal, journal, queries
from kapok.nodes.journal.instance import Mirror
from kapok.nodes.runner import attempts
from kapok.protocols.secure_sum import holder
from kapok.protocols.secure_sum.holder import Holder
from kapok.protocols.words import WordVector
from kapok.wire.backoff import Backoff


@dataclass(frozen=True)
class Mutation:
    """One breakage.

    Attributes:
        what: What goes wrong with it.
        caught: Words of the invariant that notices.
        changes: What is put in the place of what: an object, a name in it, and another value.
    """

    what: str
    caught: str
    changes: tuple[tuple[Any, str, Any], ...]

    @contextlib.contextmanager
    def made(self) -> Iterator[None]:
        """The product is broken for as long as the block lasts."""
        with contextlib.ExitStack() as stack:
            for place, name, other in self.changes:
                stack.enter_context(patch.object(place, name, other))
            yield


def _nothing(*_given: object, **_named: object) -> None:
    return None


# --- the broker ---------------------------------------------------------------------------------------------


def _submitted_in_passing(self: jobs.Jobs, caller: Any, specification: str) -> str:
    context = self._context
    with context.store.snapshot() as tx:
        return admission.admit(Step(context, tx, context.clock()), caller, specification)


def _released_in_passing(self: jobs.Jobs, caller: Any, job_id: str, token: str) -> None:
    context = self._context
    with context.store.snapshot() as tx:
        releasing.take_release(Step(context, tx, context.clock()), caller, job_id, token)


def _whatever_their_age(self: JobTable, states: Any, _before: float, most: int) -> Any:
    return _unchanged_since(self, states, float("inf"), most)


_unchanged_since: Final = JobTable.unchanged_since


def _whatever_its_state(step: Step, caller: Any, job_id: str, token: str) -> None:
    _take_consent(step, caller, job_id, token)
    job = step.tx.jobs.get(job_id)
    if job is not None and job.state in ENDED:
        job.state = JobState.GATHERING


_take_consent: Final = gathering.take_consent


def _whoever_is_there(job: Any, answers: Any, *, grace_over: bool) -> Any:
    """As `choose_roster`, of nodes that state nothing."""
    free = [
        one
        if one.consent is None
        else rosters.Answer(node=one.node, organisation=one.organisation, consent=type(one.consent)("free"))
        for one in answers
    ]
    return rosters.choose_roster(job, free, grace_over=grace_over)


# --- nodes --------------------------------------------------------------------------------------------------


def _sealed_anew(self: Holder, attempt: Any, contribution: WordVector, **named: Any) -> Any:
    self._sealed = {}
    return _seal(self, attempt, contribution, **named)


def _journaled_anew(self: Journal, record: Any, **named: Any) -> None:
    with self._write() as connection:
        connection.change(queries.FORGET_SEALS, {"of_job": record.job.hex()})
    _keep_seal(self, record, **named)


def _one_too_many(*given: Any) -> tuple[WordVector, str]:
    words, version = _contribute(*given)
    first = (int.from_bytes(words.body[:1], "little") + 1) % 256
    return WordVector(words.bits, words.count, bytes([first]) + words.body[1:]), version


def _failing(*_given: Any) -> tuple[WordVector, str]:
    raise ZeroDivisionError


_seal: Final = Holder.seal
_keep_seal: Final = Journal.seal
_contribute: Final = attempts.contribute

# --- analysts -----------------------------------------------------------------------------------------------


async def _asked_twice(self: AsyncSession, *given: Any, **named: Any) -> str:
    await _submit(self, *given, **named)
    return await _submit(self, *given, **named)


def _kept_late(self: JobFolder, record: Any) -> None:
    if record.outcome != "open" or record.turn is not None:
        _save(self, record)


_submit: Final = AsyncSession.submit
_save: Final = JobFolder.save

MUTATIONS: Final[Mapping[str, Mutation]] = MappingProxyType(
    {
        "job-not-kept": Mutation(
            "the broker takes a job and does not commit it",
            "and does not keep it",
            ((jobs.Jobs, "submit", _submitted_in_passing),),
        ),
        "release-not-kept": Mutation(
            "the broker takes a release and does not commit it",
            "a release and does not keep it",
            ((jobs.Jobs, "release", _released_in_passing),),
        ),
        "job-forgotten": Mutation(
            "the broker forgets jobs that have ended, however young",
            "the broker has lost a job",
            ((JobTable, "unchanged_since", _whatever_their_age),),
        ),
        "ended-goes-on": Mutation(
            "a consent that comes late takes up what has ended",
            "and is gathering",
            ((gathering, "take_consent", _whatever_its_state),),
        ),
        "no-deadline": Mutation(
            "the broker has no clock", "after its deadline", ((deadlines, "_run_out", _nothing),)
        ),
        "no-cohort": Mutation(
            "neither broker nor nodes look at what was released before",
            "cohorts",
            (
                (journal, "check_release", _nothing),
                (attempts, "check_roster", _nothing),
                (holder, "check_roster", _nothing),
                (gathering, "out_of_date", lambda *_: ()),
                (gathering, "choose_roster", _whoever_is_there),
            ),
        ),
        "release-not-on-record": Mutation(
            "a release is sent before it is in the journal",
            "not in its journal",
            ((Journal, "release", lambda _self, _record, token, **_more: token),),
        ),
        "set-back": Mutation(
            "a node does not compare its journal with the mirror",
            "with a journal that was set back",
            ((Mirror, "judge", _nothing),),
        ),
        "mirror-late": Mutation(
            "a node answers and lets the mirror of its journal be",
            "before the mirror of its journal follows",
            ((Mirror, "follow", _nothing),),
        ),
        "sealed-anew": Mutation(
            "a node that is asked again for an attempt makes another vector",
            "sealed two vectors",
            (
                (attempts, "SentSeal", _nothing),
                (Holder, "seal", _sealed_anew),
                (Journal, "seal", _journaled_anew),
            ),
        ),
        "wrong-words": Mutation(
            "a holder's first word is one too large",
            "and the truth of",
            ((attempts, "contribute", _one_too_many),),
        ),
        "defect": Mutation(
            "a node fails where it computes", "a defect", ((attempts, "contribute", _failing),)
        ),
        "asked-twice": Mutation(
            "an analyst's session submits twice",
            "has asked more than it wished",
            ((AsyncSession, "submit", _asked_twice),),
        ),
        "secrets-kept-late": Mutation(
            "a question is sent before what opens its sum is kept",
            "nobody has asked",
            ((JobFolder, "save", _kept_late),),
        ),
        "gives-up": Mutation(
            "whoever has lost the broker waits for ever",
            "never ends",
            ((Backoff, "next_s", lambda *_: 1e6),),
        ),
    }
)
