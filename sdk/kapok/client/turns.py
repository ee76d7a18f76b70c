"""The analyst's turn: a sum is opened, and becomes the answer or the parameters of the next round.

    fetch ─▶ verify, unseal ─▶ answer ─▶ jobs/<id>.arrow ─▶ acknowledge
                     │
                     └─▶ next parameters ─▶ jobs/<id>.json ─▶ sealed for the roster ─▶ steer

What follows from a sum is in the job's files before the broker is told that the sum may be forgotten:
whatever breaks in between, it is either here or still fetchable. Parameters are kept before they are signed,
so that a round has never two of them; they are sealed anew for each roster, after its consents have been
verified, and only for the nodes of the first round, each with the data that it had then. A training that
settles for fewer organisations takes each round's roster as it is: whether it may change, nodes decide.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from kapok.client.fetching import fetch
from kapok.client.jobs import JobRecord, Turn
from kapok.client.opening import check_result_key, open_evidence
from kapok.client.progress import Stopwatch, short_name
from kapok.client.result import Cost, Result
from kapok.errors import InternalError, KapokError, NotFound, PeerProtocolError, SealBroken, Unavailable
from kapok.protocols.secure_sum.evidence import Evidence
from kapok.protocols.sizes import TAG_SEED_BYTES
from kapok.wire.messages import JobStatus, RoundParameters

if TYPE_CHECKING:
    from kapok.client.workspace import Workspace
    from kapok.computations.registry import Answered, Next
    from kapok.documents.statements import JobSpec
    from kapok.protocols.secure_sum.analyst import OpenedSum

__all__ = ["Advance", "first_turn", "take_turn"]

Advance = Callable[["OpenedSum", bytes | None], Any]
"""What follows from a round's sum: `Next`, or the answer. Given the sum and what was kept since the round
before; called in a thread, again after whatever broke before it was kept. By itself the computation's own
`Steps.advance`; where a program of the analyst's says what comes next, that program's voice."""

_PAUSE_S: Final = 0.5
_NEVER_OPENS: Final = frozenset({"release_does_not_open"})
"""Whatever the broker hands out the next time: a node releases once."""
_OVERTAKEN: Final = frozenset({"no_sum_yet", "wrong_round", "not_steering"})
"""The broker's word that a node came with new keys meanwhile: it will be the analyst's turn again."""


def first_turn(parameters: bytes) -> Turn:
    """Of a job that is steered: what its first round is computed from. To be kept before it is submitted."""
    return Turn(
        round=1,
        parameters=parameters,
        tag_seed=secrets.token_bytes(TAG_SEED_BYTES),
        state=b"",
        data_versions={},
    )


async def take_turn(
    workspace: Workspace,
    record: JobRecord,
    specification: JobSpec,
    status: JobStatus,
    watch: Stopwatch,
    advance: Advance | None = None,
) -> Result | JobRecord:
    """Do what it is the analyst's turn to do.

    What can never open ends the job here, and its secrets. Whatever else goes wrong leaves the record open:
    the broker may hand out better evidence when it is asked again.

    Returns:
        The answer; or the record with the next round's parameters, once the broker has them, or once a node
        that came with new keys has overtaken them: either way the job is to be watched again.

    Raises:
        Unavailable: ``data_changed``: a node's data are not those of the first round; the job has ended.
        KapokError: why the sum does not open, or the next round cannot begin.
    """
    terms = specification.terms(record.job_id, workspace.name)
    try:
        evidence, chunks = await workspace.connection.with_retries(lambda broker: fetch(broker, terms))
    except NotFound as error:
        return await _overtaken(workspace, record, specification, error)
    if _is_to_be_opened(record, evidence):
        opened, outcome = await _opened(workspace, record, specification, evidence, chunks, advance)
        if not isinstance(outcome, Turn):
            return await _answered(workspace, record, specification, status, watch, opened, outcome)
        record = msgspec.structs.replace(record, turn=outcome)
        await asyncio.to_thread(workspace.folder.save, record)
    parameters = await asyncio.to_thread(_sealed, workspace, record, specification, evidence)
    try:
        await workspace.connection.with_retries(
            lambda broker: broker.analyst.steer(record.job_id, parameters)
        )
    except PeerProtocolError as error:
        return await _overtaken(workspace, record, specification, error)
    return record


async def _overtaken(
    workspace: Workspace, record: JobRecord, specification: JobSpec, error: KapokError
) -> JobRecord:
    """Wait a little and go on watching, if that can help."""
    late = workspace.clock() >= specification.deadline
    if error.code not in _OVERTAKEN or specification.rounds == 1 or late:
        raise error
    await asyncio.sleep(_PAUSE_S)
    return record


def _is_to_be_opened(record: JobRecord, evidence: Evidence) -> bool:
    """Whether the evidence is of a sum that this record has not opened yet.

    Raises:
        PeerProtocolError: ``wrong_round``: it is of a round that it cannot be of.
    """
    prepared = record.turn.round if record.turn else 1
    summed = bool(evidence.releases)
    if summed and evidence.round == prepared:
        return True
    if record.turn is None or evidence.round != prepared - summed:
        raise PeerProtocolError(
            f"the broker shows round {evidence.round} of a job whose round {prepared} it was asked for",
            code="wrong_round",
            remedy="ask the broker's people whether its store was restored from a copy; or ask again",
        )
    return False


async def _opened(
    workspace: Workspace,
    record: JobRecord,
    specification: JobSpec,
    evidence: Evidence,
    chunks: list[bytes],
    advance: Advance | None,
) -> tuple[OpenedSum, Answered | Turn]:
    """The sum, and the answer that it gives or the round that follows."""
    from kapok.computations.registry import Next

    try:
        opened, outcome = await asyncio.to_thread(
            _unseal, workspace, record, specification, evidence, chunks, advance
        )
    except KapokError as error:
        if isinstance(error, SealBroken) or error.code in _NEVER_OPENS:
            workspace.folder.close(record, "failed", error)
        raise
    versions = {member.name: member.data_version for member in opened.members}
    # None are known before the first sum, nor in the turn that leads to it.
    first = record.turn.data_versions if record.turn else {}
    if changed := sorted(name for name in versions if first.get(name, versions[name]) != versions[name]):
        failure = _data_changed(changed[0], evidence.round)
        workspace.folder.close(record, "failed", failure)
        await workspace.connection.with_retries(lambda broker: broker.analyst.cancel(record.job_id))
        raise failure
    if not isinstance(outcome, Next):
        return opened, outcome
    if evidence.round >= specification.rounds:
        raise InternalError("the question takes more rounds than its specification asks for")
    return opened, Turn(
        round=evidence.round + 1,
        parameters=outcome.parameters,
        tag_seed=secrets.token_bytes(TAG_SEED_BYTES),
        state=outcome.state,
        data_versions=first | versions,
    )


def _unseal(
    workspace: Workspace,
    record: JobRecord,
    specification: JobSpec,
    evidence: Evidence,
    chunks: list[bytes],
    advance: Advance | None,
) -> tuple[OpenedSum, Answered | Next]:
    """Everything between a sealed sum and what follows from it; takes a while, so it runs in a thread."""
    from kapok.computations.registry import computation
    from kapok.documents.dataset import Dataset

    key = None
    if specification.seal == "paillier":
        key = workspace.opening_key()
        check_result_key(record.job_id, specification, key)
    opened = open_evidence(
        record, specification, workspace.name, evidence, chunks, result_key=key, verifier=workspace.verifier
    )
    state = record.turn.state if record.turn else None
    if advance is not None:
        return opened, advance(opened, state)
    schema = Dataset.from_payload(record.dataset)
    kind = computation(specification.computation)
    question = kind.parse(specification.question, schema)
    if specification.rounds == 1:
        return opened, kind.answer(question, schema, opened.words)
    own = kind.go_on().advance
    if own is None:
        raise InternalError(f"nobody says what comes next in a job of the kind {kind.name}")
    return opened, own(question, schema, state, opened.words)


def _sealed(
    workspace: Workspace, record: JobRecord, specification: JobSpec, evidence: Evidence
) -> RoundParameters:
    """The prepared round's parameters for the roster that the evidence shows, once that is verified.

    Raises:
        PeerProtocolError: ``roster_changed``: they are not the nodes of the first round.
        KapokError: a consent does not hold.
    """
    from kapok.protocols.secure_sum.roster import read_roster
    from kapok.protocols.secure_sum.round_parameters import JobKey, Parameters, seal_parameters

    turn = record.turn
    if turn is None:
        raise InternalError("there are no parameters to send")
    terms = specification.terms(record.job_id, workspace.name)
    roster = read_roster(terms, evidence.consents, workspace.verifier)
    may_change = specification.steered and terms.at_least < len(terms.organisations)
    if turn.data_versions and not may_change and set(roster.names) != set(turn.data_versions):
        raise PeerProtocolError(
            "the broker shows other nodes for the next round than those of the first",
            code="roster_changed",
            remedy="ask again; the nodes of the first answer must all be running until the last round",
        )
    sealed = seal_parameters(
        terms,
        JobKey(roster),
        round=turn.round,
        parameters=Parameters(turn.parameters, turn.tag_seed),
        name=str(workspace.name),
        signer=workspace.signer,
    )
    return RoundParameters(sealed.token, sealed.ciphertext)


async def _answered(
    workspace: Workspace,
    record: JobRecord,
    specification: JobSpec,
    status: JobStatus,
    watch: Stopwatch,
    opened: OpenedSum,
    answer: Answered,
) -> Result:
    """Keep the answer, and tell the broker that no sum is wanted any more."""
    sent, received = workspace.connection.traffic
    cost = Cost(
        seconds=watch.total(),
        stages=watch.seconds(),
        sealed_bytes=status.bytes_received,
        bytes_sent=sent,
        bytes_received=received,
    )
    result = await asyncio.to_thread(_keep, workspace, record, specification, opened, answer, cost)
    # The answer is here, whatever becomes of this: the broker forgets the sum by itself after its stated
    # time, or has forgotten it, because the job was cancelled in that very moment.
    with contextlib.suppress(KapokError):
        await (await workspace.connection.broker()).analyst.acknowledge(record.job_id)
    return result


def _keep(
    workspace: Workspace,
    record: JobRecord,
    specification: JobSpec,
    opened: OpenedSum,
    answer: Answered,
    cost: Cost,
) -> Result:
    from kapok.client.result import Labels, reports
    from kapok.documents.dataset import Dataset

    labels = Labels(
        job_id=record.job_id,
        question=record.sql,
        dataset=Dataset.from_payload(record.dataset).name,
        dataset_hash=specification.dataset,
        computation=specification.computation,
        suppressed=answer.suppressed,
        parties=reports(opened.members),
        cost=cost,
    )
    result = Result.of(answer.to_arrow(), labels)
    result.save(workspace.folder.answer_file(record.job_id))
    workspace.folder.close(record, "opened")
    return result


def _data_changed(party: str, number: int) -> Unavailable:
    return Unavailable(
        f"the data of {short_name(party)} changed before round {number}: the rounds do not fit together",
        code="data_changed",
        party=party,
        remedy="ask again",
    )
