"""Reading what nodes signed about a job: verified first, and only from the caller itself."""

from __future__ import annotations

import base64
from typing import Final

from kapok.broker.computation.context import Step
from kapok.broker.store.schema import JobRow, MemberRow
from kapok.documents.envelope import decode
from kapok.documents.statements import REFUSAL_TYP, RefusalStatement
from kapok.errors import KapokError, NotFound, PeerProtocolError
from kapok.identity.names import PartyName
from kapok.protocols.secure_sum.messages import CONSENT_TYP, ConsentStatement, read

__all__ = ["check_signer", "job_for", "read_consent", "read_refusal", "refusal_of", "unknown_job"]

_MOST_REFUSAL_BYTES: Final = 8192


def unknown_job() -> NotFound:
    """No such job, or none of the caller's: both are answered alike."""
    return NotFound(
        "there is no such job", code="unknown_job", remedy="see `kapok job list` for the jobs that are yours"
    )


def job_for(step: Step, caller: PartyName, job_id: str) -> tuple[JobRow, MemberRow]:
    """A job, and the caller as one whom it asks.

    Raises:
        NotFound: ``unknown_job``.
    """
    job, member = step.tx.jobs.get(job_id), step.tx.jobs.member(job_id, str(caller))
    if job is None or member is None:
        raise unknown_job()
    return job, member


def check_signer(caller: PartyName, signer: str) -> None:
    """Refuse a statement that somebody else has signed.

    Raises:
        PeerProtocolError: ``not_the_signer``.
    """
    if signer != str(caller):
        raise PeerProtocolError(
            f"{caller} sent a statement that {signer} signed", code="not_the_signer", party=str(caller)
        )


def read_consent(step: Step, caller: PartyName, job_id: str, token: str) -> tuple[bytes, ConsentStatement]:
    """Verify a consent; return the payload that was signed and the statement in it.

    Raises:
        IdentityInvalid: the signature does not hold.
        PeerProtocolError: ``bad_statement``, ``not_the_signer`` or ``wrong_job``.
    """
    statement, signed = read(ConsentStatement, CONSENT_TYP, token, step.context.verifier)
    check_signer(caller, signed.signer.name)
    if statement.job.hex() != job_id:
        raise _wrong_job(caller)
    return signed.payload, statement


def read_refusal(step: Step, caller: PartyName, job_id: str, token: str) -> KapokError:
    """Verify a refusal; return it as the error that it states.

    Raises:
        IdentityInvalid: the signature does not hold.
        PeerProtocolError: ``bad_statement``, ``not_the_signer`` or ``wrong_job``.
    """
    signed = step.context.verifier.verify(REFUSAL_TYP, token)
    check_signer(caller, signed.signer.name)
    if len(signed.payload) > _MOST_REFUSAL_BYTES:
        raise PeerProtocolError(
            f"the refusal of {caller} is too long", code="bad_statement", party=str(caller)
        )
    statement = decode(RefusalStatement, signed.payload, party=str(caller))
    if statement.job != job_id:
        raise _wrong_job(caller)
    return statement.error(str(caller))


def refusal_of(token: str, node: str) -> KapokError:
    """The error that a stored refusal states; it was verified when it came."""
    segment = token.split(".")[1]
    payload = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    return decode(RefusalStatement, payload, party=node).error(node)


def _wrong_job(caller: PartyName) -> PeerProtocolError:
    return PeerProtocolError(
        f"{caller} sent a statement about another job", code="wrong_job", party=str(caller)
    )
