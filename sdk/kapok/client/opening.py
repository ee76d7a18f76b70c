"""What an analyst checks before it believes the broker: refusals, failures, and the sum itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kapok.client.progress import SHOWN_DIGITS, short_name
from kapok.documents.envelope import decode, document_id
from kapok.documents.statements import JOB_TYP, REFUSAL_TYP, JobSpec, RefusalStatement
from kapok.errors import (
    CohortTooSmall,
    KapokError,
    LocalProtocolError,
    NotFound,
    PeerProtocolError,
    Refused,
    TimedOut,
    Unavailable,
)
from kapok.identity.names import PartyName
from kapok.wire.messages import JobState

if TYPE_CHECKING:
    from kapok.client.jobs import JobRecord
    from kapok.protocols.paillier.private import PrivateKey
    from kapok.protocols.secure_sum.analyst import OpenedSum
    from kapok.protocols.secure_sum.evidence import Evidence
    from kapok.protocols.secure_sum.params import Verifier
    from kapok.wire.messages import JobStatus

__all__ = [
    "brokers_word",
    "goes_on_by",
    "check_result_key",
    "failure_of",
    "open_evidence",
    "read_specification",
    "verified_refusals",
]


def read_specification(token: str, verifier: Verifier, typ: str = JOB_TYP) -> tuple[str, JobSpec, PartyName]:
    """A job's (or inquiry's, by its `typ`) identity, its specification and who signed it.

    Raises:
        IdentityInvalid: the signature does not hold.
        KapokError: the payload is no specification, or names another analyst than its signer.
    """
    signed = verifier.verify(typ, token)
    specification = decode(JobSpec, signed.payload)
    specification.check_signer(signed.signer.name)
    return document_id(signed.payload), specification, PartyName.parse(signed.signer.name)


def verified_refusals(
    job_id: str, specification: JobSpec, tokens: Iterable[str], verifier: Verifier
) -> tuple[KapokError, ...]:
    """Nodes' refusals as errors, each naming its node, after their signatures have been verified.

    Raises:
        PeerProtocolError: ``forged_refusal``: the broker shows what it cannot have taken from a member of
            this job: it is not signed by one, or no refusal in its form.
    """
    found: list[KapokError] = []
    for token in tokens:
        try:
            signed = verifier.verify(REFUSAL_TYP, token)
            statement = decode(RefusalStatement, signed.payload)
        except KapokError as error:
            raise _forged(error.message) from None
        if statement.job != job_id or signed.signer.name not in specification.members:
            raise _forged("it is of another job, or of a node that was not asked")
        found.append(statement.error(signed.signer.name))
    return tuple(found)


def _forged(why: str) -> PeerProtocolError:
    return PeerProtocolError(
        f"the broker shows a refusal that it cannot have from a node of this job: {why}",
        code="forged_refusal",
        remedy="do not trust this broker's word on who refused; ask the nodes' people, and the broker's",
    )


def failure_of(status: JobStatus, refusals: tuple[KapokError, ...]) -> KapokError:
    """Why a job ended without a sum: what a node signed if that is the reason, else what the broker says.

    A node is named by its own signature alone. What the broker says of a node is told as the broker's word,
    naming no party; a refusal that it cannot show is not believed at all.

    Args:
        status: Of a job that has failed or was cancelled.
        refusals: As `verified_refusals` gave them.
    """
    said = status.error
    if said is None:
        return _ended(status)
    of_party = [one for one in refusals if one.party == said.party]
    same = [one for one in of_party if one.code == said.code]
    refused = isinstance(said, Refused) and not isinstance(said, CohortTooSmall)
    if own := same or (of_party if refused else []):
        return _with_others(own[0], [one for one in refusals if one is not own[0]])
    if not _is_node(said.party):
        return _with_others(said, refusals)
    if refused:
        return PeerProtocolError(
            f"the broker says that {said.party} refused, and shows no refusal that this node signed",
            code="forged_refusal",
            remedy="ask the node's people, and the broker's",
        )
    return _with_others(_broker_says(said), refusals)


def brokers_word(said: KapokError) -> KapokError:
    """An error that the broker answered a call with: where it names a node, the broker's word and no more."""
    return _broker_says(said) if _is_node(said.party) else said


def goes_on_by(error: KapokError, job_id: str, how: str) -> None:
    """Say in an error's remedy, before all else, what `kapok job wait` does about it: the job is not lost."""
    first = f"`kapok job wait {job_id[:SHOWN_DIGITS]}` {how}"
    if not (error.remedy or "").startswith(first):
        error.remedy = f"{first}; {error.remedy}" if error.remedy else first


def _is_node(party: str | None) -> bool:
    return party is not None and "/node/" in party


def _broker_says(said: KapokError) -> KapokError:
    """What no node has signed. That time is up anybody can see; on whom one waited is the broker's word."""
    if isinstance(said, TimedOut):
        message, code = f"the broker waited for {short_name(said.party or '')}: {said.message}", said.code
    else:
        message, code = (
            f"the broker says, without a node's signature: {said.message} ({said.code})",
            "broker_says",
        )
    return type(said)(message, code=code, remedy=said.remedy, clause=said.clause)


def _ended(status: JobStatus) -> KapokError:
    if status.state == JobState.CANCELLED:
        return Unavailable("the job was cancelled", code="job_cancelled", remedy="ask again")
    return Unavailable(
        "the job has failed, and the broker does not say why",
        code="job_failed",
        remedy="ask the broker's people, or ask the question again",
    )


def _with_others(error: KapokError, others: Iterable[KapokError]) -> KapokError:
    refused = ", ".join(f"{one.party} ({one.code})" for one in others)
    if refused:
        error.remedy = "; ".join(filter(None, (error.remedy, f"refused by: {refused}")))
    return error


def open_evidence(
    record: JobRecord,
    specification: JobSpec,
    analyst: PartyName,
    evidence: Evidence,
    chunks: Iterable[bytes],
    *,
    result_key: PrivateKey | None,
    verifier: Verifier,
) -> OpenedSum:
    """Verify everything that is signed about one attempt, and open its sum.

    Args:
        record: This job's record, with its secrets.
        specification: What was asked.
        analyst: Our own name.
        evidence: Consents, seals and releases, as the broker handed them out.
        chunks: The sealed sum.
        result_key: The profile's Paillier key; None with seal ``pad``.
        verifier: Of this party.

    Raises:
        PeerProtocolError: somebody, named where it can be told, sent what does not fit.
        SealBroken: the sum does not open, or somebody shifted it.
        LocalProtocolError: ``secrets_gone``: this record no longer opens anything.
    """
    from kapok.protocols.secure_sum.analyst import Asked, open_sum
    from kapok.protocols.secure_sum.round_parameters import Parameters
    from kapok.protocols.wraps import WrapKey

    if record.receiver_key is None or record.tag_seed is None:
        raise LocalProtocolError(
            "this job's secrets have been deleted: it has ended", code="secrets_gone", remedy="ask again"
        )
    params_hash, tag_seed = specification.params_hash, record.tag_seed
    if record.turn is not None:
        sent = Parameters(record.turn.parameters, record.turn.tag_seed)
        params_hash, tag_seed = sent.hash, sent.tag_seed
    asked = Asked(
        params_hash=params_hash,
        tag_seed=tag_seed,
        receiver_key=WrapKey.from_private_bytes(record.receiver_key),
        result_key=result_key,
    )
    return open_sum(specification.terms(record.job_id, analyst), asked, evidence, chunks, verifier)


def check_result_key(job_id: str, specification: JobSpec, key: PrivateKey) -> None:
    """Whether the profile's key is the one that the job was asked under.

    Raises:
        NotFound: ``result_key_rotated``: another one is in its place. The old one still opens the sum.
    """
    from kapok.protocols.paillier.public import PublicKey

    asked = specification.result_key
    if asked is None or key.public.encode() != (asked.n, asked.h_s, asked.profile):
        wanted = "" if asked is None else PublicKey.decode(asked.n, asked.h_s, asked.profile).key_id.hex()
        job = job_id[:SHOWN_DIGITS]
        raise NotFound(
            f"job {job} was asked under the result key {wanted[:16]}, and this profile has now "
            f"{key.public.key_id.hex()[:16]}",
            code="result_key_rotated",
            remedy="bring the old key back as result-key.json, from where it lies now, and "
            f"`kapok job wait {job}` opens the sum; if the old key is gone, ask again",
        )
