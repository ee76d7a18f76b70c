"""What a node answers: signed statements, each ready to be sent and to be sent again."""

from __future__ import annotations

from dataclasses import dataclass, field

from kapok.documents.reopening import REOPENING_ANSWER_TYP, ReopeningAnswer
from kapok.documents.statements import REFUSAL_TYP, RefusalStatement
from kapok.errors import KapokError
from kapok.protocols.secure_sum.messages import encode
from kapok.protocols.secure_sum.params import Signer

__all__ = [
    "AnsweredReopening",
    "Consent",
    "Opinion",
    "Outgoing",
    "Refusal",
    "Release",
    "Seal",
    "refusal_statement",
    "refusal_token",
    "reopening_token",
]


@dataclass(frozen=True, slots=True)
class Consent:
    """A signed consent with this node's keys for the job."""

    job_id: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A signed refusal; its code where it is new, empty where it is one of before."""

    job_id: str
    token: str = field(repr=False)
    code: str = ""


@dataclass(frozen=True, slots=True)
class Seal:
    """The signed digests of a sealed vector, and the vector in chunks."""

    job_id: str
    token: str = field(repr=False)
    chunks: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Release:
    """A signed release."""

    job_id: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Opinion:
    """A signed opinion on an inquiry, whose identity stands in the place of a job's."""

    job_id: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AnsweredReopening:
    """A signed word that a reopening was accepted, or why not; its identity stands in the place of a job."""

    job_id: str
    token: str = field(repr=False)


Outgoing = Consent | Refusal | Seal | Release | Opinion | AnsweredReopening

_MOST_TEXT = 2000


def refusal_token(job_id: str, error: KapokError, signer: Signer) -> str:
    """Sign a refusal. Only errors that do not depend on data come here."""
    return signer.sign(REFUSAL_TYP, encode(refusal_statement(job_id, error)))


def refusal_statement(job_id: str, error: KapokError) -> RefusalStatement:
    """What a refusal says."""
    return RefusalStatement(
        job=job_id,
        kind=type(error).__name__,
        code=error.code,
        message=error.message[:_MOST_TEXT],
        clause=(error.clause or "")[:_MOST_TEXT],
        remedy=(error.remedy or "")[:_MOST_TEXT],
    )


def reopening_token(reopening_id: str, error: KapokError | None, signer: Signer) -> str:
    """Sign that a reopening was accepted, or with an error why not."""
    statement = ReopeningAnswer(reopening=reopening_id)
    if error is not None:
        statement = ReopeningAnswer(
            reopening=reopening_id,
            code=error.code,
            message=error.message[:_MOST_TEXT],
            remedy=(error.remedy or "")[:_MOST_TEXT],
        )
    return signer.sign(REOPENING_ANSWER_TYP, encode(statement))
