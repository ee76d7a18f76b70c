"""From a question to a signed job specification, and the secrets that open its sum.

Nothing here touches the network: what is made here lies in the job's file before anything is sent.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from kapok.client.catalogue import Member, VerifiedDataset, choose_members
from kapok.client.jobs import JobRecord
from kapok.client.progress import Progress, short_name
from kapok.documents.envelope import document_id, encode
from kapok.documents.statements import JOB_TYP, MOST_DEADLINE_S, NONCE_BYTES, JobSpec, ResultKey
from kapok.errors import CohortTooSmall, InvalidInput, counted
from kapok.protocols.secure_sum.params import LEAST_PARTIES_FLOOR, MOST_MEMBERS, SUITE
from kapok.protocols.sizes import TAG_SEED_BYTES

if TYPE_CHECKING:
    from kapok.identity.names import PartyName
    from kapok.protocols.paillier.public import EncodedKey
    from kapok.protocols.secure_sum.params import Signer

__all__ = ["Request", "asking", "prepare"]

SealName = Literal["paillier", "pad"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What an analyst wants.

    Attributes:
        sql: The question, of whatever kind.
        seal: How masked sums travel.
        at_least: Least number of organisations that must take part; None means all that are asked.
        parties: Organisations to ask; None means all whose nodes joined the dataset.
        deadline_s: Seconds from now after which the job has failed.
        computation: What kind of question it is.

    Raises:
        InvalidInput: ``bad_seal``, ``bad_at_least`` or ``bad_deadline``.
    """

    sql: str
    seal: SealName
    at_least: int | None
    parties: tuple[str, ...] | None
    deadline_s: int
    computation: str = "query"

    def __post_init__(self) -> None:
        if self.seal not in ("paillier", "pad"):
            raise InvalidInput(
                f"{self.seal!r} is not a seal",
                code="bad_seal",
                remedy="seals are paillier (the default) and pad",
            )
        if self.at_least is not None and self.at_least < LEAST_PARTIES_FLOOR:
            raise InvalidInput(
                f"at least {self.at_least} organisations are too few: fewer than {LEAST_PARTIES_FLOOR} "
                "would show single ones",
                code="bad_at_least",
                remedy=f"ask for {LEAST_PARTIES_FLOOR} or more",
            )
        if not 1 <= self.deadline_s <= MOST_DEADLINE_S:
            raise InvalidInput(
                f"a deadline of {counted(self.deadline_s, 'second')} is not possible",
                code="bad_deadline",
                remedy=f"give 1 to {MOST_DEADLINE_S} seconds (30 days)",
            )


def prepare(
    request: Request,
    dataset: VerifiedDataset,
    *,
    result_key: Callable[[], EncodedKey],
    analyst: PartyName,
    signer: Signer,
    now: float,
    typ: str = JOB_TYP,
) -> JobRecord:
    """Make and sign the specification of a job, and all that opens its sum.

    Args:
        request: What is wanted.
        dataset: The verified dataset that the question names.
        result_key: Gives the encoded public half of the profile's Paillier key; asked with seal ``paillier``
            alone, and only when nothing else is wrong.
        analyst: Who asks. The own organisation does not count as one of the parties.
        signer: The analyst's signing key.
        now: Seconds since the epoch.
        typ: As what it is signed: a job, or an inquiry.

    Raises:
        InvalidInput: the question is not one that can be asked of this dataset.
        CohortTooSmall: fewer than three organisations would answer.
        NotFound: an organisation that was named has not joined.
    """
    from kapok.computations.registry import computation
    from kapok.protocols.wraps import WrapKey

    kind = computation(request.computation)
    question = kind.parse(request.sql, dataset.schema)
    members = choose_members(dataset, request.parties)
    at_least = _least(request, dataset, members, analyst.organisation_id)
    tag_seed, nonce = secrets.token_bytes(TAG_SEED_BYTES), secrets.token_bytes(NONCE_BYTES)
    receiver = WrapKey.generate()
    specification = JobSpec(
        analyst=str(analyst),
        suite=SUITE,
        computation=kind.name,
        question=question.text,
        dataset=dataset.hash,
        members=tuple(str(member.name) for member in members),
        at_least=at_least,
        seal=request.seal,
        words=question.words,
        word_bits=question.word_bits,
        result_key=ResultKey(*result_key()) if request.seal == "paillier" else None,
        receiver_key=receiver.public,
        tag_seeds=_wrapped_seeds(tag_seed, nonce, dataset, members),
        rounds=question.rounds,
        deadline=int(now) + request.deadline_s,
        nonce=nonce,
        steered=kind.steered,
    )
    encoded = encode(specification)
    return JobRecord(
        job_id=document_id(encoded),
        sql=request.sql,
        specification=signer.sign(typ, encoded),
        dataset=dataset.document,
        submitted_at=now,
        receiver_key=receiver.private_bytes(),
        tag_seed=tag_seed,
    )


def _least(
    request: Request, dataset: VerifiedDataset, members: Sequence[Member], receiver_organisation: str
) -> int:
    """The least number of organisations, or why there are too few of them to begin with."""
    organisations = {member.name.organisation_id for member in members}
    others = organisations - {receiver_organisation}
    if len(members) > MOST_MEMBERS:
        raise InvalidInput(
            f"{len(members)} nodes are more than one sum can have",
            code="too_many_members",
            remedy=f"name the organisations to ask, {MOST_MEMBERS} nodes at most",
        )
    if len(others) < LEAST_PARTIES_FLOOR:
        raise CohortTooSmall(
            f"only {counted(len(others), 'organisation')} other than your own would answer",
            code="too_few_organisations",
            remedy=f"a sum needs {LEAST_PARTIES_FLOOR} or more: "
            + (
                _more_parties(dataset, organisations | {receiver_organisation})
                or "ask of a dataset that more have joined"
            ),
        )
    if request.at_least is not None and request.at_least > len(organisations):
        raise CohortTooSmall(
            f"at least {counted(request.at_least, 'organisation')} were asked for, and "
            f"{len(organisations)} would answer",
            code="too_few_organisations",
            remedy="ask for fewer, or "
            + (_more_parties(dataset, organisations) or "wait until more have joined"),
        )
    return request.at_least if request.at_least is not None else len(organisations)


def _more_parties(dataset: VerifiedDataset, asked: set[str]) -> str:
    """How to ask more of those who have joined; empty when all of them are asked."""
    more = sorted({one.name.organisation for one in dataset.members if one.name.organisation_id not in asked})
    return f"ask more parties, of {', '.join(more)} (--party)" if more else ""


def _wrapped_seeds(
    tag_seed: bytes, nonce: bytes, dataset: VerifiedDataset, members: Sequence[Member]
) -> dict[str, bytes]:
    from kapok.protocols.secure_sum.analyst import tag_seed_info
    from kapok.protocols.wraps import wrap

    digest = bytes.fromhex(dataset.hash)
    return {
        str(member.name): wrap(member.tag_key, tag_seed, tag_seed_info(digest, nonce, str(member.name)))
        for member in members
    }


def asking(members: Sequence[Member]) -> Progress:
    """Whom the question is put to: told before anything is signed, for the broker chose whom to show."""
    names = ", ".join(
        short_name(str(member.name)) + ("" if member.connected else " (not connected)") for member in members
    )
    return Progress(step="notice", text=f"asking {counted(len(members), 'node')}: {names}")
