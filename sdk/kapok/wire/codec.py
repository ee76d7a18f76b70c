"""Generated messages to plain types and back: the only place that knows both.

`write_*` makes a message, `read_*` a plain type. What a caller sends and cannot be used is `InvalidInput`;
what a service answers and cannot be used is `PeerProtocolError`, code ``bad_answer``. Text from another party
that may be shown to a person loses its control characters here, so that it cannot steer a terminal.
"""

from __future__ import annotations

import re
from typing import Final, assert_never

from kapok.errors import InvalidInput, KapokError, PeerProtocolError, Unavailable, error_class, is_code
from kapok.protocols.secure_sum.evidence import Evidence
from kapok.wire.messages import (
    MOST_CHUNK_BYTES,
    Assignment,
    CatalogueEntry,
    Closed,
    CohortEvidence,
    Completion,
    Idle,
    Inquiry,
    JobState,
    JobStatus,
    KeptReopening,
    Offer,
    OpenAttempt,
    ReopenCohort,
    RevocationNotice,
    RoundParameters,
)
from kapok.wire.v1 import (
    analyst_pb2,
    catalogue_pb2,
    errors_pb2,
    node_pb2,
    officer_pb2,
)

__all__ = [
    "check_chunk",
    "read_assignment",
    "read_cohort",
    "read_entry",
    "read_error",
    "read_id",
    "read_name",
    "read_reopening",
    "read_status",
    "read_sum_part",
    "write_assignment",
    "write_cohort",
    "write_entry",
    "write_error",
    "write_reopening",
    "write_status",
    "write_sum_part",
]

_ID: Final = re.compile(r"[0-9a-f]{64}\Z")
_LONGEST_NAME: Final = 255
# An error travels in trailing metadata, of which gRPC takes 8 KiB, a third lost to base64.
_LONGEST_SENTENCE: Final = 1500
_LONGEST_WORD: Final = 300
_LONGEST_WAIT_S: Final = 3600.0

_STATES: Final = {
    JobState.GATHERING: analyst_pb2.JOB_STATE_GATHERING,
    JobState.SEALING: analyst_pb2.JOB_STATE_SEALING,
    JobState.RELEASING: analyst_pb2.JOB_STATE_RELEASING,
    JobState.STEERING: analyst_pb2.JOB_STATE_STEERING,
    JobState.SUMMED: analyst_pb2.JOB_STATE_SUMMED,
    JobState.FINISHED: analyst_pb2.JOB_STATE_FINISHED,
    JobState.FAILED: analyst_pb2.JOB_STATE_FAILED,
    JobState.CANCELLED: analyst_pb2.JOB_STATE_CANCELLED,
}
_STATES_READ: Final = {number: state for state, number in _STATES.items()}


def _bad_answer(what: str) -> PeerProtocolError:
    return PeerProtocolError(
        f"the answer cannot be understood: {what}",
        code="bad_answer",
        remedy="run the same release of Kapok on both sides",
    )


# Ids, names, chunks: checked before they are sent and again where they arrive.


def read_id(what: str, text: str) -> str:
    """Return a job's or dataset's id if it is well-formed: a SHA-256 in lower-case hex.

    Raises:
        InvalidInput: ``bad_id``.
    """
    if not isinstance(text, str) or not _ID.match(text):
        raise InvalidInput(
            f"that is not the id of a {what}", code="bad_id", remedy="give all 64 hexadecimal digits"
        )
    return text


def read_name(text: str) -> str:
    """Return a dataset's name that can be looked up; which names exist is the handler's business.

    Raises:
        InvalidInput: ``bad_name``.
    """
    if not isinstance(text, str) or not text.isprintable() or len(text) > _LONGEST_NAME:
        raise InvalidInput(
            "that is not a name",
            code="bad_name",
            remedy=f"give at most {_LONGEST_NAME} printable characters",
        )
    return text


def check_chunk(chunk: bytes) -> bytes:
    """Return a chunk that is within bounds.

    Raises:
        InvalidInput: ``bad_chunk`` when it is empty or larger than `MOST_CHUNK_BYTES`.
    """
    if not 0 < len(chunk) <= MOST_CHUNK_BYTES:
        raise InvalidInput(
            f"a chunk has {len(chunk)} bytes; it must have 1 to {MOST_CHUNK_BYTES}",
            code="bad_chunk",
            remedy="cut the vector into smaller chunks",
        )
    return chunk


# Errors.


def _clip(text: str | None, most: int) -> str:
    """At most `most` bytes of UTF-8, cut between characters."""
    raw = (text or "").encode("utf-8", "replace")
    return raw.decode() if len(raw) <= most else raw[: most - 3].decode("utf-8", "ignore") + "…"


def _plain(text: str, most: int) -> str:
    return _clip("".join(char if char.isprintable() else " " for char in text), most).strip()


def write_error(error: KapokError) -> errors_pb2.ErrorDetail:
    """Make the message of an error; long texts are cut so that it always fits into metadata."""
    wait_s = error.retry_after_s if isinstance(error, Unavailable) else None
    return errors_pb2.ErrorDetail(
        kind=type(error).__name__,
        retry_after_s=wait_s or 0.0,
        code=error.code,
        message=_clip(error.message, _LONGEST_SENTENCE),
        remedy=_clip(error.remedy, _LONGEST_SENTENCE),
        clause=_clip(error.clause, _LONGEST_WORD),
        party=_clip(error.party, _LONGEST_WORD),
    )


def read_error(detail: errors_pb2.ErrorDetail) -> KapokError:
    """Return the error as the other side raised it; `InternalError` for an unknown class.

    Raises:
        PeerProtocolError: ``bad_answer`` when there is no message, or the code is not a snake_case word.
    """
    kind = error_class(detail.kind)
    message = _plain(detail.message, _LONGEST_SENTENCE)
    if not message:
        raise _bad_answer("an error without a message")
    if detail.code and not is_code(detail.code):
        raise _bad_answer("an error whose code is not a snake_case word")
    error = kind(
        message,
        code=detail.code,
        remedy=_plain(detail.remedy, _LONGEST_SENTENCE) or None,
        clause=_plain(detail.clause, _LONGEST_WORD) or None,
        party=_plain(detail.party, _LONGEST_WORD) or None,
    )
    if isinstance(error, Unavailable) and 0 < detail.retry_after_s <= _LONGEST_WAIT_S:
        error.retry_after_s = detail.retry_after_s
    return error


# Datasets.


def write_entry(entry: CatalogueEntry) -> catalogue_pb2.CatalogueEntry:
    """Make the message of a catalogue entry."""
    return catalogue_pb2.CatalogueEntry(
        document=entry.document, memberships=entry.memberships, connected=entry.connected
    )


def read_entry(entry: catalogue_pb2.CatalogueEntry) -> CatalogueEntry:
    """Return the plain catalogue entry."""
    return CatalogueEntry(entry.document, tuple(entry.memberships), tuple(entry.connected))


# Jobs.


def write_status(status: JobStatus) -> analyst_pb2.JobStatus:
    """Make the message of a job's status."""
    return analyst_pb2.JobStatus(
        job_id=status.job_id,
        state=_STATES[status.state],
        specification=status.specification,
        waiting_for=status.waiting_for,
        roster=status.roster,
        refusals=status.refusals,
        error=None if status.error is None else write_error(status.error),
        submitted_at=status.submitted_at,
        changed_at=status.changed_at,
        attempt=status.attempt,
        bytes_received=status.bytes_received,
        not_connected=status.not_connected,
        fewer_after_s=status.fewer_after_s,
        cohort_fixed=status.cohort_fixed,
        round=status.round,
        turn_after=status.turn_after,
    )


def read_status(status: analyst_pb2.JobStatus) -> JobStatus:
    """Return the plain status.

    Raises:
        PeerProtocolError: ``bad_answer`` when the state is unspecified or unknown.
    """
    state = _STATES_READ.get(status.state)
    if state is None:
        raise _bad_answer(f"a job in state {int(status.state)}, which this version does not know")
    return JobStatus(
        job_id=status.job_id,
        state=state,
        specification=status.specification,
        waiting_for=tuple(status.waiting_for),
        roster=tuple(status.roster),
        refusals=tuple(status.refusals),
        error=read_error(status.error) if status.HasField("error") else None,
        submitted_at=status.submitted_at,
        changed_at=status.changed_at,
        attempt=status.attempt,
        bytes_received=status.bytes_received,
        not_connected=tuple(status.not_connected),
        fewer_after_s=status.fewer_after_s,
        cohort_fixed=status.cohort_fixed,
        round=status.round,
        turn_after=status.turn_after,
    )


def write_sum_part(part: Evidence | bytes) -> analyst_pb2.FetchSumResponse:
    """Make the message of the evidence or of one chunk of a sealed sum."""
    if isinstance(part, bytes):
        return analyst_pb2.FetchSumResponse(chunk=check_chunk(part))
    evidence = analyst_pb2.Evidence(
        round=part.round,
        attempt=part.attempt,
        consents=part.consents,
        seals=part.seals,
        releases=part.releases,
    )
    return analyst_pb2.FetchSumResponse(evidence=evidence)


def read_sum_part(part: analyst_pb2.FetchSumResponse) -> Evidence | bytes:
    """Return the evidence or the chunk.

    Raises:
        PeerProtocolError: ``bad_answer`` when it is neither, or the chunk is out of bounds.
    """
    match part.WhichOneof("part"):
        case "evidence":
            found = part.evidence
            return Evidence(
                round=found.round,
                attempt=found.attempt,
                consents=tuple(found.consents),
                seals=tuple(found.seals),
                releases=tuple(found.releases),
            )
        case "chunk" if 0 < len(part.chunk) <= MOST_CHUNK_BYTES:
            return part.chunk
        case _:
            raise _bad_answer("neither evidence nor a chunk of a sum within bounds")


# Cohorts.


def write_reopening(kept: KeptReopening) -> officer_pb2.ListReopeningsResponse:
    """Make the message of a reopening."""
    return officer_pb2.ListReopeningsResponse(
        reopening=kept.document, answers=kept.answers, proposed_at=kept.proposed_at
    )


def read_reopening(answer: officer_pb2.ListReopeningsResponse) -> KeptReopening:
    """Return the plain reopening."""
    return KeptReopening(answer.reopening, tuple(answer.answers), answer.proposed_at)


def write_cohort(evidence: CohortEvidence) -> officer_pb2.ListCohortsResponse:
    """Make the message of a roster's evidence."""
    return officer_pb2.ListCohortsResponse(
        specification=evidence.specification,
        round=evidence.round,
        attempt=evidence.attempt,
        consents=evidence.consents,
        releases=evidence.releases,
    )


def read_cohort(answer: officer_pb2.ListCohortsResponse) -> CohortEvidence:
    """Return the plain evidence."""
    return CohortEvidence(
        specification=answer.specification,
        round=answer.round,
        attempt=answer.attempt,
        consents=tuple(answer.consents),
        releases=tuple(answer.releases),
    )


# Assignments.


def write_assignment(assignment: Assignment) -> node_pb2.WatchResponse:
    """Make the message of an assignment."""
    match assignment:
        case Offer(specification):
            return node_pb2.WatchResponse(offer=node_pb2.Offer(specification=specification))
        case OpenAttempt():
            attempt = node_pb2.OpenAttempt(
                specification=assignment.specification,
                round=assignment.round,
                attempt=assignment.attempt,
                consents=assignment.consents,
                parameters="" if assignment.parameters is None else assignment.parameters.statement,
            )
            return node_pb2.WatchResponse(open_attempt=attempt)
        case Completion():
            completion = node_pb2.Completion(
                job_id=assignment.job_id,
                round=assignment.round,
                attempt=assignment.attempt,
                seals=assignment.seals,
            )
            return node_pb2.WatchResponse(completion=completion)
        case Closed(job_id):
            return node_pb2.WatchResponse(closed=node_pb2.Closed(job_id=job_id))
        case Inquiry(token):
            return node_pb2.WatchResponse(inquiry=node_pb2.Inquiry(inquiry=token))
        case RevocationNotice(der):
            return node_pb2.WatchResponse(revocations=node_pb2.Revocations(list=der))
        case ReopenCohort(document):
            return node_pb2.WatchResponse(reopen_cohort=node_pb2.ReopenCohort(reopening=document))
        case Idle():
            return node_pb2.WatchResponse(idle=node_pb2.Idle())
        case _:
            assert_never(assignment)


def read_assignment(response: node_pb2.WatchResponse) -> Assignment:
    """Return the plain assignment.

    Raises:
        PeerProtocolError: ``bad_answer`` when it is none that this version knows.
    """
    match response.WhichOneof("assignment"):
        case "offer":
            return Offer(response.offer.specification)
        case "open_attempt":
            opened = response.open_attempt
            return OpenAttempt(
                specification=opened.specification,
                round=opened.round,
                attempt=opened.attempt,
                consents=tuple(opened.consents),
                parameters=RoundParameters(opened.parameters) if opened.parameters else None,
            )
        case "completion":
            complete = response.completion
            return Completion(
                job_id=complete.job_id,
                round=complete.round,
                attempt=complete.attempt,
                seals=tuple(complete.seals),
            )
        case "closed":
            return Closed(response.closed.job_id)
        case "inquiry":
            return Inquiry(response.inquiry.inquiry)
        case "reopen_cohort":
            return ReopenCohort(response.reopen_cohort.reopening)
        case "revocations":
            return RevocationNotice(response.revocations.list)
        case "idle":
            return Idle()
        case _:
            raise _bad_answer("an assignment that this version does not know")
