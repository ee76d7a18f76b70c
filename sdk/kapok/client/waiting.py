"""Waiting for a job, and taking the analyst's turn when it comes; looking at jobs without waiting.

watch ─▶ a sum is ready, or the roster is new ─▶ `kapok.client.turns` ─▶ watch again | the answer
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kapok.client.connection import Pauses
from kapok.client.imports import import_for_opening
from kapok.client.jobs import JobRecord
from kapok.client.opening import brokers_word, failure_of, goes_on_by, read_specification, verified_refusals
from kapok.client.progress import SHOWN_DIGITS, Listener, Progress, Stopwatch, progress_of
from kapok.client.result import Result
from kapok.client.turns import Advance, take_turn
from kapok.errors import KapokError, NotFound, PeerProtocolError, Unavailable
from kapok.logs.traces import span
from kapok.wire.messages import JobState, JobStatus

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from kapok.client.workspace import Workspace
    from kapok.documents.statements import JobSpec
    from kapok.wire.channel import Connection

__all__ = [
    "JobView",
    "follow",
    "not_at_broker",
    "secrets_not_here",
    "settle",
    "view_of",
    "view_or_why_not",
]

_ENDED_WITHOUT: Final = (JobState.FAILED, JobState.CANCELLED)
_WITH_SUM: Final = (JobState.SUMMED, JobState.FINISHED)
_FOR_US: Final = (JobState.STEERING, *_WITH_SUM, *_ENDED_WITHOUT)
"""It is the analyst's turn, or over."""
_SILENCE_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A job as this profile sees it: what the broker tells, verified where signed, and what is kept here.

    Attributes:
        job_id: Lower-case hex.
        state: A `kapok.wire.messages.JobState`, or ``opened`` once the answer lies here, or
            ``not at the broker``, ``not verified``, or ``damaged`` (its file here).

        sql: The question; of a training, in words.
        submitted_at: Seconds since the epoch.
        members: Names of the nodes that were asked.
        waiting_for: Names of the nodes whose turn it is.
        not_connected: Those of them that are not connected, as the broker says.
        fewer_after_s: Seconds after which a job that settles for fewer organisations goes on without them; 0
            where it does not.
        cohort_fixed: It would settle for fewer, and earlier answers have fixed whom it waits for.
        refusals: Verified refusals, each naming its node.
        failure: Why there is no answer.
        deadline: Seconds since the epoch.
        seal: How the sum travels, in words.
        round: The round that it is in, from 1.
        rounds: How many it takes at most.
    """

    job_id: str
    state: str
    sql: str
    submitted_at: float
    members: tuple[str, ...] = ()
    waiting_for: tuple[str, ...] = ()
    not_connected: tuple[str, ...] = ()
    fewer_after_s: float = 0.0
    cohort_fixed: bool = False
    refusals: tuple[KapokError, ...] = ()
    failure: KapokError | None = None
    deadline: float | None = None
    seal: str | None = None
    round: int = 1
    rounds: int = 1

    @classmethod
    def of_record(cls, record: JobRecord) -> JobView:
        """A job of which only this profile knows."""
        is_open = record.outcome == "open"
        failure = record.failure.error() if record.failure else None
        return cls(
            job_id=record.job_id,
            state="not at the broker" if is_open else record.outcome,
            sql=record.sql,
            submitted_at=record.submitted_at,
            failure=not_at_broker(record.job_id) if is_open else failure,
        )


def not_at_broker(job_id: str) -> NotFound:
    """Of a job that is kept here and that the broker does not have."""
    job = job_id[:SHOWN_DIGITS]
    return NotFound(
        f"job {job} is not at the broker",
        code="not_at_broker",
        remedy=f"`kapok job wait {job}` submits it, `kapok job cancel {job}` withdraws it",
    )


def secrets_not_here(job_id: str) -> NotFound:
    """Of a job that the broker has and this profile does not."""
    job = job_id[:SHOWN_DIGITS]
    return NotFound(
        f"the broker has job {job}, and this profile no longer has its secrets: it cannot open its answer",
        code="secrets_not_here",
        remedy="bring its file back into the folder jobs of this profile, or use the profile that asked; "
        f"`kapok job cancel {job}` ends it at the broker",
    )


def view_of(workspace: Workspace, status: JobStatus) -> JobView:
    """A job as the broker tells it.

    Raises:
        IdentityInvalid: its specification does not verify.
        PeerProtocolError: the broker shows another job's specification, or a forged refusal.
    """
    specification = _specification(workspace, status.job_id, status.specification)
    try:
        record: JobRecord | None = workspace.folder.load(status.job_id)
    except NotFound:
        record = None
    refusals = verified_refusals(status.job_id, specification, status.refusals, workspace.verifier)
    failed = status.state in _ENDED_WITHOUT
    return JobView(
        job_id=status.job_id,
        state="opened" if record and record.outcome == "opened" else status.state.value,
        sql=_shown(specification, record),
        submitted_at=status.submitted_at,
        members=specification.members,
        waiting_for=status.waiting_for,
        not_connected=status.not_connected,
        fewer_after_s=status.fewer_after_s,
        cohort_fixed=status.cohort_fixed,
        refusals=refusals,
        failure=failure_of(status, refusals) if failed else None,
        deadline=specification.deadline,
        seal=specification.seal_in_words,
        round=status.round,
        rounds=specification.rounds,
    )


def _shown(specification: JobSpec, record: JobRecord | None) -> str:
    """A job's question as people read it: as it was typed; of a training, what is trained for how long."""
    text = record.sql if record else specification.question
    if specification.computation != "federated" or not text.startswith("{"):
        return text
    import msgspec

    from kapok.computations.federated.question import Question

    try:
        return msgspec.json.decode(text.encode(), type=Question).title()
    except (KapokError, msgspec.MsgspecError, UnicodeError, RecursionError):
        return text


def view_or_why_not(workspace: Workspace, status: JobStatus) -> JobView:
    """As `view_of`; of a job that cannot be verified, why not: one of them does not hide the others."""
    try:
        return view_of(workspace, status)
    except KapokError as error:
        return JobView(
            job_id=status.job_id,
            state="not verified",
            sql="",
            submitted_at=status.submitted_at,
            failure=error,
        )


def settle(workspace: Workspace, record: JobRecord) -> Result | None:
    """The answer that lies here already; None if the job is still open.

    Raises:
        KapokError: why the job ended without one.
    """
    path = workspace.folder.answer_file(record.job_id)
    if path.is_file():
        if record.outcome == "open":
            workspace.folder.close(record, "opened")
        return Result.load(path)
    if record.outcome == "open":
        return None
    if record.failure is not None:
        raise record.failure.error()
    raise NotFound(
        f"job {record.job_id[:SHOWN_DIGITS]} was {record.outcome}, and its answer is not here",
        code="no_answer",
        remedy="ask again",
    )


async def follow(
    workspace: Workspace,
    record: JobRecord,
    watch: Stopwatch,
    *,
    only_now: bool = False,
    advance: Advance | None = None,
) -> Result:
    """Watch a job until its sum is ready, then open it; and so on, round by round, until there is the answer.

    Args:
        workspace: Whose job it is.
        record: Its record, with its secrets.
        watch: Told how it goes on, and notes how long it takes.
        only_now: Do not wait for a sum that is not ready.
        advance: Says what follows from each sum; the computation itself when None. What a program steers,
            a training, goes on with one alone: without it, only whether the job has failed is looked at.

    Raises:
        Unavailable: ``not_ready``, only with `only_now` or without the program that a job needs; or the
            broker was out of reach past the deadline.
        IdentityInvalid: ``passphrase_needed`` or ``passphrase_wrong``: the record's secrets are locked.
        KapokError: why there is no answer.
    """
    specification = _specification(workspace, record.job_id, record.specification)
    record = await asyncio.to_thread(workspace.folder.unlock, record)
    waits_for_program = specification.steered and advance is None
    if only_now or waits_for_program:
        status = await workspace.connection.with_retries(lambda broker: broker.analyst.job(record.job_id))
        if status.state not in (_ENDED_WITHOUT if waits_for_program else (*_WITH_SUM, *_ENDED_WITHOUT)):
            raise _not_ready(record.job_id, status, specification)
        import_for_opening(specification.computation)
    else:
        import_for_opening(specification.computation)
        preparing = asyncio.ensure_future(asyncio.to_thread(_prepare_key, workspace, record, specification))
        status = await _watch(workspace, record, specification, watch)
        await preparing
    while True:
        if status.state in _ENDED_WITHOUT:
            raise await asyncio.to_thread(_fail, workspace, record, specification, status)
        watch(Progress(step="opening", text="opening", job_id=record.job_id))
        with span("open", job=record.job_id):
            outcome = await take_turn(workspace, record, specification, status, watch, advance)
        if isinstance(outcome, Result):
            return outcome
        record = outcome
        status = await _watch(workspace, record, specification, watch)


def _prepare_key(workspace: Workspace, record: JobRecord, specification: JobSpec) -> None:
    """Make what opening takes: in a thread, while the nodes work."""
    from kapok.protocols.secure_sum.vector import degree

    if specification.seal == "paillier":
        # If it cannot be used, opening itself says why.
        with contextlib.suppress(KapokError):
            workspace.opening_key().prepare(degree(specification.terms(record.job_id, workspace.name)))


async def _watch(
    workspace: Workspace, record: JobRecord, specification: JobSpec, listener: Listener
) -> JobStatus:
    patience = workspace.profile.settings.patience_s
    last = asyncio.get_running_loop().time() + max(specification.deadline - workspace.clock(), 0) + patience
    pauses = Pauses(last, workspace.connection.dialler)
    while True:
        try:
            broker = await workspace.connection.broker()
            async with contextlib.aclosing(broker.analyst.watch(record.job_id)) as statuses:
                while (status := await _next(broker, record.job_id, statuses)) is not None:
                    pauses.restart(last)
                    if status.state in _FOR_US:
                        return status
                    listener(progress_of(status, len(specification.members), specification.rounds))
            broken: KapokError = Unavailable("the broker hung up", code="hung_up")
        except KapokError as error:
            broken = brokers_word(error)
        if broken.retryable:
            goes_on_by(broken, record.job_id, "takes it up again")
        await workspace.connection.move_on(broken)
        await pauses.after(broken, listener)


async def _next(
    broker: Connection, job_id: str, statuses: AsyncGenerator[JobStatus, None]
) -> JobStatus | None:
    """The next status that is watched for; None at the end of the watch.

    A broker says nothing while nothing changes: after a while it is asked, so that one that has died without
    a word is noticed.

    Raises:
        KapokError: it does not answer.
    """
    coming = asyncio.ensure_future(anext(statuses, None))
    try:
        while not (await asyncio.wait({coming}, timeout=_SILENCE_S))[0]:
            status = await broker.analyst.job(job_id)
            if status.state in _FOR_US:
                return status
        return await coming
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)


def _fail(workspace: Workspace, record: JobRecord, specification: JobSpec, status: JobStatus) -> KapokError:
    try:
        refusals = verified_refusals(record.job_id, specification, status.refusals, workspace.verifier)
        failure = failure_of(status, refusals)
    except KapokError as error:
        failure = error
    workspace.folder.close(record, "cancelled" if status.state is JobState.CANCELLED else "failed", failure)
    return failure


def _specification(workspace: Workspace, job_id: str, token: str) -> JobSpec:
    found, specification, signer = read_specification(token, workspace.verifier)
    if found != job_id or signer != workspace.name:
        raise PeerProtocolError(
            f"the broker shows a specification that is not the one of our job {job_id[:SHOWN_DIGITS]}",
            code="foreign_specification",
        )
    return specification


def _not_ready(job_id: str, status: JobStatus, specification: JobSpec) -> Unavailable:
    how_far = progress_of(status, len(status.waiting_for), specification.rounds).text
    job = job_id[:SHOWN_DIGITS]
    goes_on = f"`kapok job wait {job}` waits for it"
    if specification.steered:
        goes_on = f"`kapok job resume {job}` goes on with it, where its app and its exchanges are kept"
    return Unavailable(
        f"job {job} is not done: {how_far}",
        code="not_ready",
        remedy=goes_on,
    )
