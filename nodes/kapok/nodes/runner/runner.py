"""The node's conduct, one assignment at a time. See the package for the exchange.

Refusals depend on specification, schema, policy and journal alone. Nothing is sent before it is on
record: the try before the answer, the seal's record before the seal, the release before the release.
"""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Callable, Mapping
from functools import partial
from threading import Thread
from time import monotonic
from typing import Final, assert_never

from kapok.documents.envelope import document_id
from kapok.documents.statements import INQUIRY_TYP
from kapok.errors import (
    ConsentWithheld,
    InternalError,
    KapokError,
    LocalProtocolError,
    PeerProtocolError,
    Unavailable,
)
from kapok.identity.names import PartyName
from kapok.nodes.journal import JobRecord, Journal
from kapok.nodes.policy import Rule, roster_rules
from kapok.nodes.runner.admission import (
    AdmittedJob,
    JoinedDataset,
    ReadSpec,
    admit,
    check_deadline,
    read_spec,
)
from kapok.nodes.runner.contribution import contribute
from kapok.nodes.runner.judging import (
    InForce,
    check_approved,
    check_has_rule,
    check_sealed_under,
    decide,
    first_seen,
    waits_for_officer,
)
from kapok.nodes.runner.notes import Notes, Observer
from kapok.nodes.runner.open_jobs import OpenJob, OpenJobs, SentSeal
from kapok.nodes.runner.opinions import Pace, imagined, opinion_on
from kapok.nodes.runner.outgoing import Consent, Outgoing, Refusal, Release, Seal, refusal_token
from kapok.nodes.runner.reopening import answer_reopening
from kapok.nodes.runner.task import Task, task_of
from kapok.nodes.states import NodeJobState
from kapok.protocols.secure_sum.cohort import CohortStatement, check_roster
from kapok.protocols.secure_sum.holder import Attempt, Holder, release
from kapok.protocols.secure_sum.params import Signer, Verifier
from kapok.protocols.secure_sum.records import ReleaseRecord
from kapok.protocols.secure_sum.roster import check_members
from kapok.protocols.wraps import WrapKey
from kapok.wire.messages import (
    Assignment,
    Closed,
    Completion,
    Idle,
    Inquiry,
    Offer,
    OpenAttempt,
    ReopenCohort,
)

__all__ = ["Runner"]

_log = logging.getLogger(__name__)
_S = NodeJobState
_AT_REST: Final = (_S.PENDING, _S.DENIED, _S.REFUSED, _S.CLOSED)
_GRACE_S: Final = 600
_MOST_ATTEMPTS: Final = 100


class Runner:
    """A node's answers to its assignments. Threads may call it; one job is worked on by one of them.

    Args:
        name: This node's name.
        in_force: Who may ask what; `put_in_force` replaces it.
        journal: What outlives a restart.
        joined: Datasets by hash; may grow while the runner lives.
        signer: Signs with the node's identity.
        verifier: Verifies others' statements.
        tag_key: The private half of what this node's memberships name.
        clock: Seconds since the epoch.
        open_jobs_max: Most jobs open at a time.
        observer: Counts what is done.
    """

    def __init__(
        self,
        *,
        name: str,
        in_force: InForce,
        journal: Journal,
        joined: Mapping[str, JoinedDataset],
        signer: Signer,
        verifier: Verifier,
        tag_key: WrapKey,
        clock: Callable[[], float],
        open_jobs_max: int = 256,
        observer: Observer | None = None,
    ) -> None:
        self._name, self._in_force, self._journal, self._joined = name, in_force, journal, joined
        self._signer, self._verifier, self._tag_key, self._clock = signer, verifier, tag_key, clock
        self._open = OpenJobs(open_jobs_max)
        self._pace = Pace()
        self._notes = Notes(observer)

    def put_in_force(self, in_force: InForce) -> None:
        """Judge by another policy from now on.

        As after a restart: what was consented to before is judged anew and consented to with new keys; what
        was sealed before is not released.
        """
        self._in_force = in_force

    def handle(self, assignment: Assignment) -> list[Outgoing]:
        """Answer one assignment; the same again gets the same answer.

        Raises:
            Unavailable: the journal cannot be written just now: nothing may be answered, and the same
            assignment
                is to be handled again.
        """
        answers = self._answers(assignment)
        if answers:
            self._journal.keep_up()
        return answers

    def _answers(self, assignment: Assignment) -> list[Outgoing]:
        match assignment:
            case Offer(specification=token):
                return self._guarded(token, self._offer)
            case OpenAttempt(specification=token):
                return self._guarded(token, lambda read: self._open_attempt(read, assignment))
            case Completion(job_id=job_id):
                return self._guarded_job(job_id, lambda: self._complete(assignment))
            case Closed(job_id=job_id):
                return self._guarded_job(job_id, lambda: self._close(job_id))
            case Inquiry(token=token):
                return self._opine(token)
            case ReopenCohort(document):
                return self._reopen(document)
            case Idle():
                return []
            case _ as never:
                assert_never(never)

    def decided(self) -> list[Outgoing]:
        """Answers to questions that the local officer has decided since.

        Raises:
            Unavailable: as `handle`.
        """
        answers: list[Outgoing] = []
        for record in self._journal.decided():
            answers += self._guarded_job(record.job_id, partial(self._decided, record))
        self._journal.keep_up()
        return answers

    def tell_of_pause(self) -> None:
        """Say in the log that the holder has paused the node, or resumed it.

        Raises:
            Unavailable: as `handle`.
        """
        self._notes.pause(self._journal.pause())

    def expire(self) -> None:
        """Forget jobs whose deadline has passed: keys at once, records of seals a little later.

        Raises:
            Unavailable: as `handle`.
        """
        now = self._clock()
        for job_id in self._open.expired(now):
            with self._open.working_on(job_id):
                self._open.forget(job_id)
        self._journal.forget_expired(now - _GRACE_S)

    # --- guards -----------------------------------------------------------------------------------------

    def _guarded(self, token: str, work: Callable[[ReadSpec], list[Outgoing]]) -> list[Outgoing]:
        try:
            read = read_spec(token, self._verifier)
        except KapokError as error:
            job_id = _claimed_id(token)
            _log.warning("a specification was refused", extra={"job": job_id, "code": error.code})
            # Whoever can make a token that does not verify must not end a job that this node knows.
            if not job_id or self._journal.job(job_id) is not None:
                return []
            return [Refusal(job_id, refusal_token(job_id, error, self._signer))]
        record = self._journal.job(read.job_id)
        if record is not None and record.analyst != str(read.caller):
            _log.warning("a job came from another analyst than before", extra={"job": read.job_id})
            return []
        return self._guarded_job(read.job_id, lambda: work(read))

    def _guarded_job(self, job_id: str, work: Callable[[], list[Outgoing]]) -> list[Outgoing]:
        """One job's failure is that job's: a refusal goes out, and the daemon goes on."""
        with self._open.working_on(job_id):
            try:
                return work()
            except KapokError as error:
                if isinstance(error, Unavailable) and error.code == "journal_unavailable":
                    raise
                return self._refuse(job_id, error)
            except Exception:  # noqa: BLE001 - a job must not take the daemon with it
                _log.exception("a job failed inside this node", extra={"job": job_id})
                return self._refuse(
                    job_id, InternalError("the node failed on this job; its own log says where")
                )

    def _refuse(self, job_id: str, error: KapokError) -> list[Outgoing]:
        self._notes.refused(job_id, error)
        token = refusal_token(job_id, error, self._signer)
        if self._journal.job(job_id) is not None:
            self._open.forget(job_id)
            token = self._journal.refuse(job_id, token, in_force=self._in_force.number)
        return [Refusal(job_id, token, error.code)]

    # --- inquiries --------------------------------------------------------------------------------------

    def _opine(self, token: str) -> list[Outgoing]:
        """Say what an offer of this specification would be answered. Nothing is written or counted."""
        try:
            read = read_spec(token, self._verifier, INQUIRY_TYP)
        except KapokError as error:
            _log.warning("an inquiry was dropped", extra={"code": error.code})
            return []
        try:
            verdict: Rule | KapokError = self._would_allow(read)
        except KapokError as error:
            verdict = error
        except Exception:  # noqa: BLE001 - an inquiry must not take the daemon with it
            _log.exception("an inquiry failed inside this node")
            verdict = InternalError("the node failed on this inquiry; its own log says where")
        return [opinion_on(read.job_id, verdict, self._signer)]

    def _would_allow(self, read: ReadSpec) -> Rule:
        entry, now = self._joined.get(read.spec.dataset), self._clock()
        self._pace.count(str(read.caller), now)
        record = imagined(read, entry, now)
        check_deadline(read.spec.deadline, now)
        self._journal.check_running()
        in_force = self._in_force
        admitted = self._admit(read, record, entry, in_force)
        return decide(admitted, record, in_force, self._journal).rule

    # --- offers -----------------------------------------------------------------------------------------

    def _offer(self, read: ReadSpec) -> list[Outgoing]:
        # Looked up once: a dataset that is joined while this goes on must not be half in this job.
        entry = self._joined.get(read.spec.dataset)
        record = self._journal.job(read.job_id) or self._count(read, entry)
        if record.state not in _AT_REST:
            self._journal.check_running()
        known = self._known(read.job_id)
        if known is not None and (record.state is _S.RELEASED or known.stated == self._statement(known)):
            return [Consent(read.job_id, known.holder.consent())]
        match record.state:
            case _S.CLOSED:
                return []
            case _S.RELEASED if self._journal.released(read.job_id, read.spec.rounds):
                return []
            case _S.REFUSED:
                return self._refused_before(record)
            case _S.DENIED:
                raise ConsentWithheld(
                    "the holder's officer denied the question",
                    code="approval_denied",
                    clause="policy.approval",
                    remedy="ask the holder's people why; another question is decided anew",
                )
            case _S.PENDING:
                check_deadline(read.spec.deadline, self._clock())
                return []
            case _S.OFFERED | _S.APPROVED | _S.CONSENTED | _S.SEALED | _S.RELEASED:
                return self._consent(read, record, entry)
            case _ as never:
                assert_never(never)

    def _count(self, read: ReadSpec, entry: JoinedDataset | None) -> JobRecord:
        paused: ConsentWithheld | None = None
        try:
            self._journal.check_running()
        except ConsentWithheld as error:
            paused = error
        new = first_seen(read, entry, self._in_force, signer=self._signer, now=self._clock(), paused=paused)
        return self._journal.count_try(new)

    def _known(self, job_id: str) -> OpenJob | None:
        """The open job, if it was consented to under the policy that is in force."""
        job = self._open.get(job_id)
        return job if job and job.decision.in_force == self._in_force.number else None

    def _refused_before(self, record: JobRecord) -> list[Outgoing]:
        if record.refusal:
            return [Refusal(record.job_id, record.refusal)]
        raise ConsentWithheld(
            "this node's journal was restored from a copy: jobs that were open then are refused",
            code="journal_restored",
            remedy="ask the question again",
        )

    def _consent(self, read: ReadSpec, record: JobRecord, entry: JoinedDataset | None) -> list[Outgoing]:
        check_deadline(read.spec.deadline, self._clock())
        in_force = self._in_force
        admitted = self._admit(read, record, entry, in_force)
        decision = decide(admitted, record, in_force, self._journal)
        rule = decision.rule
        if record.state is _S.RELEASED:
            check_approved(decision, record)
        if waits_for_officer(decision, record):
            self._journal.defer(read.job_id, specification=read.token, decision=decision)
            self._open.forget(read.job_id)
            self._notes.deferred(read.job_id)
            return []
        self._open.check_room(read.job_id)
        scope = self._journal.scope(record.asset, record.organisation)
        statement = scope.statement(rule.cohort, admitted.question_key)
        holder = Holder(
            admitted.terms,
            name=self._name,
            signer=self._signer,
            verifier=self._verifier,
            rules=roster_rules(rule),
            cohort=statement,
        )
        self._journal.consent(read.job_id, specification=read.token, decision=decision, cohort=statement)
        self._open.add(OpenJob(admitted, decision, holder, statement))
        Thread(
            target=_prepare, args=(holder, read.job_id), name=f"prepare-{read.job_id[:8]}", daemon=True
        ).start()
        self._notes.consented(read.job_id, record.asset)
        return [Consent(read.job_id, holder.consent())]

    def _admit(
        self, read: ReadSpec, record: JobRecord, entry: JoinedDataset | None, in_force: InForce
    ) -> AdmittedJob:
        """Check the specification, and that the journal counts it where its table's cohorts are kept.

        A try that was counted under one asset and answered from another would have neither the budget nor the
        cohort of the table that is read.
        """
        read.spec.check_signer(record.analyst)
        if entry is not None and record.asset != entry.asset:
            raise ConsentWithheld(
                "the job was first asked when this node had not joined the dataset, or had it under another "
                "asset",
                code="asset_changed",
                clause="specification.dataset",
                remedy="ask the question again, as a new job",
            )
        if entry is not None:
            # Before the question is parsed; what the rule says of the question follows when it is known.
            check_has_rule(read, entry, in_force)
        return admit(read, name=self._name, entry=entry, tag_key=self._tag_key)

    def _decided(self, record: JobRecord) -> list[Outgoing]:
        return self._offer(read_spec(record.specification, self._verifier))

    def _reopen(self, text: bytes) -> list[Outgoing]:
        answer = answer_reopening(
            text,
            name=self._name,
            assets={dataset_hash: one.asset for dataset_hash, one in self._joined.items()},
            verifier=self._verifier,
            signer=self._signer,
            now=self._clock(),
            keep=self._journal.reopen,
        )
        return [] if answer is None else [answer]

    # --- attempts ---------------------------------------------------------------------------------------

    def _open_attempt(self, read: ReadSpec, asked: OpenAttempt) -> list[Outgoing]:
        job = self._known(read.job_id)
        if job is None:
            # Its keys are gone with a restart, the policy has changed, or it was never consented to: the
            # roster is void here.
            return self._offer(read)
        self._journal.check_running()
        consents = frozenset(asked.consents)
        sent = job.sent
        if sent and (sent.round, sent.attempt, sent.consents) == (asked.round, asked.attempt, consents):
            return [sent.seal]
        if self._journal.released(read.job_id, asked.round):
            return []
        if sent and (sent.round, sent.attempt) > (asked.round, asked.attempt):
            _log.info("an attempt that is over was asked for", extra={"job": read.job_id})
            return []
        check_deadline(read.spec.deadline, self._clock())
        if asked.attempt > _MOST_ATTEMPTS:
            raise PeerProtocolError(
                f"the broker opens more than {_MOST_ATTEMPTS} attempts of one round", code="too_many_attempts"
            )
        try:
            task = task_of(job, asked)
            attempt = self._agree(job, asked, task)
        except LocalProtocolError as error:
            if error.code == "keys_lost":
                return [Consent(read.job_id, job.holder.consent())]
            raise
        return [self._seal(job, attempt, task, consents)]

    def _agree(self, job: OpenJob, asked: OpenAttempt, task: Task) -> Attempt:
        """Check the roster, and once more what the journal says of the scope now."""
        attempt = job.holder.open(
            round=asked.round,
            attempt=asked.attempt,
            consents=asked.consents,
            params_hash=task.params_hash,
        )
        stated = {one.name: one.cohort for one in attempt.roster.members}
        check_roster(self._statement(job), attempt.roster.names, stated)
        return attempt

    def _statement(self, job: OpenJob) -> CohortStatement:
        """What this node would state about the job's scope now."""
        scope = self._journal.scope(job.admitted.joined.asset, job.admitted.read.caller.organisation_id)
        return scope.statement(job.rule.cohort, job.admitted.question_key)

    def _seal(self, job: OpenJob, attempt: Attempt, task: Task, consents: frozenset[str]) -> Seal:
        began = monotonic()
        words, version = contribute(job.admitted, job.rule, task.parameters)
        sealed = job.holder.seal(attempt, words, tag_seed=task.tag_seed, data_version=version)
        self._journal.seal(sealed.record, in_force=job.decision.in_force)
        answer = Seal(job.admitted.job_id, sealed.token, sealed.chunks)
        number = attempt.context.round, attempt.context.attempt
        job.sent = SentSeal(*number, consents, answer)
        self._notes.sealed(job.admitted.job_id, *number, monotonic() - began)
        return answer

    # --- releases ---------------------------------------------------------------------------------------

    def _complete(self, asked: Completion) -> list[Outgoing]:
        record = self._journal.job(asked.job_id)
        if record is None or record.state is _S.CLOSED:
            _log.warning("asked to release a job that is not open here", extra={"job": asked.job_id})
            return []
        self._journal.check_running()
        done = self._journal.released(asked.job_id, asked.round)
        if done and done.attempt == asked.attempt:
            return [Release(asked.job_id, done.token)]
        if record.state is _S.REFUSED:
            return self._refused_before(record)
        sealed = self._journal.sealed(asked.job_id, asked.round, asked.attempt)
        if sealed is None:
            raise PeerProtocolError(
                "the broker says complete of an attempt that this node has not sealed", code="seal_unknown"
            )
        in_force, read = self._in_force, read_spec(record.specification, self._verifier)
        admitted = self._admit(read, record, self._joined.get(read.spec.dataset), in_force)
        decision = decide(admitted, record, in_force, self._journal)
        members = _members(sealed.record)
        check_members(read.caller.organisation_id, members, roster_rules(decision.rule))
        check_sealed_under(decision, sealed)
        check_approved(decision, record)
        token = release(sealed.record, asked.seals, signer=self._signer, verifier=self._verifier)
        token = self._journal.release(sealed.record, token, decision=decision, question=admitted.question_key)
        self._notes.released(asked.job_id, asked.round, asked.attempt)
        return [Release(asked.job_id, token)]

    def _close(self, job_id: str) -> list[Outgoing]:
        self._open.forget(job_id)
        self._journal.close_job(job_id)
        return []


def _prepare(holder: Holder, job_id: str) -> None:
    """Make ahead what sealing takes; if it cannot be, sealing itself says why."""
    try:
        holder.prepare()
    except (KapokError, MemoryError):
        _log.warning("not prepared", extra={"job": job_id})


def _members(sealed: ReleaseRecord) -> list[tuple[str, str, bytes]]:
    return [
        (one.name, PartyName.parse(one.name).organisation_id, one.key_fingerprint) for one in sealed.members
    ]


def _claimed_id(token: str) -> str:
    """The id of a specification that does not verify, so that whoever asked can be told; empty if none."""
    try:
        _, payload, _ = token.split(".")
        return document_id(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, binascii.Error):
        return ""
