"""A job specification as this node verifies it, from the signed text and what the node itself holds.

Everything here depends on specification, schema and this node's keys; no table is looked at.
"""

from __future__ import annotations

import base64
import logging
from dataclasses import dataclass, field
from typing import Final

from kapok.computations.registry import Asked, Computation, computation
from kapok.documents.dataset import Dataset
from kapok.documents.envelope import decode, document_id
from kapok.documents.statements import JOB_TYP, MOST_DEADLINE_S, NONCE_BYTES, JobSpec
from kapok.errors import InvalidInput, KapokError, NotAuthorised, NotFound, TimedOut, VersionMismatch, counted
from kapok.errors.secrecy import NeverPickled
from kapok.identity.names import PartyName, Role
from kapok.nodes.sources import Table
from kapok.protocols.secure_sum.framing import hashed
from kapok.protocols.secure_sum.params import MOST_MEMBERS, SUITE, SumTerms, Verifier
from kapok.protocols.secure_sum.tag import tag_seed_info
from kapok.protocols.secure_sum.vector import check_result_key
from kapok.protocols.sizes import TAG_SEED_BYTES
from kapok.protocols.wraps import WrapKey

__all__ = [
    "AdmittedJob",
    "JoinedDataset",
    "ReadSpec",
    "admit",
    "check_deadline",
    "claimed_id",
    "noted_question",
    "read_spec",
    "refusable_id",
]

_CLOCK_SKEW_S: Final = 24 * 3600
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class JoinedDataset:
    """A dataset that this node joined.

    Attributes:
        name: This node's own name for it, as in its policy.
        hash: Lower-case hex.
        asset: The table's name: cohorts and tries are kept under it, whatever the dataset's hash.
        table: The schema over the source.
    """

    name: str
    hash: str
    asset: str
    table: Table

    @property
    def dataset(self) -> Dataset:
        """The schema."""
        return self.table.dataset


@dataclass(frozen=True, slots=True)
class ReadSpec:
    """A specification whose signature holds, signed by the analyst whom it names; no more is believed."""

    token: str = field(repr=False)
    job_id: str
    caller: PartyName
    spec: JobSpec = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmittedJob(NeverPickled):
    """A specification that is in itself as it must be. The policy has not been asked yet.

    Attributes:
        read: The signed specification.
        joined: The dataset it is about.
        computation: The kind of question.
        question: As this node parsed it.
        question_key: Stands for the question, whatever the dataset's hash and the names in the answer, 32
            bytes.
        terms: Of its sum.
        tag_seed: As unwrapped. Secret.
    """

    read: ReadSpec
    joined: JoinedDataset
    computation: Computation = field(repr=False)
    question: Asked = field(repr=False)
    question_key: bytes = field(repr=False)
    terms: SumTerms = field(repr=False)
    tag_seed: bytes = field(repr=False)

    @property
    def job_id(self) -> str:
        """Lower-case hex."""
        return self.read.job_id


def read_spec(token: str, verifier: Verifier, typ: str = JOB_TYP) -> ReadSpec:
    """Verify who signed a specification, as a job's or, by its `typ`, as an inquiry's.

    Raises:
        IdentityInvalid: signature, certificate or `typ` are wrong.
        PeerProtocolError: ``bad_statement``.
        NotAuthorised: ``not_an_analyst``, or ``not_the_signer`` when it names another analyst.
    """
    signed = verifier.verify(typ, token)
    caller = PartyName.parse(signed.signer.name)
    spec = decode(JobSpec, signed.payload, party=signed.signer.name)
    spec.check_signer(signed.signer.name)
    if caller.role is not Role.ANALYST:
        raise NotAuthorised(
            "the specification was not signed by an analyst",
            code="not_an_analyst",
            party=signed.signer.name,
            remedy="sign it with a certificate whose role is analyst",
        )
    return ReadSpec(token, document_id(signed.payload), caller, spec)


def refusable_id(token: str, error: KapokError) -> str:
    """The identity under which a specification that `read_spec` did not take may be refused; empty for none.

    Only what its own analyst signed is refused under its identity, or what no node of this version could
    read whoever signs it. Anybody can put a signature that is wrong, or his own, under another's question: of
    that nothing is signed here, or a dishonest broker would have this node's refusal of a question that it
    was never shown.
    """
    try:
        payload = _payload(token)
        by_date = error.code in ("certificate_expired", "certificate_not_yet_valid")
        if error.code not in ("bad_statement", "not_an_analyst") and not (
            by_date and decode(JobSpec, payload).analyst == error.party
        ):
            return ""
        return document_id(payload)
    except (KapokError, ValueError):
        return ""


def _payload(token: str) -> bytes:
    _, payload, _ = token.split(".")
    return base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))


def claimed_id(token: str) -> str:
    """The identity of a specification of which nothing is verified, to ask for what belongs to it.

    Empty for what is none.
    """
    try:
        return document_id(_payload(token))
    except ValueError:
        return ""


def check_deadline(deadline: float, now: float) -> None:
    """Refuse a job that is over, or that this node would have to remember for too long.

    Raises:
        TimedOut: ``deadline_passed``.
        InvalidInput: ``deadline_too_far``.
    """
    if deadline <= now:
        raise TimedOut(
            "the job's deadline has passed at this node",
            code="deadline_passed",
            clause="specification.deadline",
            remedy="ask again with a later deadline, and see that the clocks agree",
        )
    if deadline > now + MOST_DEADLINE_S + _CLOCK_SKEW_S:
        raise _bad("its deadline is too far away", "deadline_too_far", "deadline", "ask for 30 days at most")


def admit(read: ReadSpec, *, name: str, entry: JoinedDataset | None, tag_key: WrapKey) -> AdmittedJob:
    """Check a specification against the dataset that it names and against this node's keys.

    Args:
        read: The signed specification.
        name: This node's name.
        entry: The dataset of that hash, if this node has joined it.
        tag_key: The private half of what this node's memberships name.

    Raises:
        KapokError: InvalidInput, NotFound, VersionMismatch or PeerProtocolError, with code, clause and
        remedy.
    """
    spec = read.spec
    if spec.suite != SUITE:
        raise VersionMismatch(
            f"this node speaks the protocol suite {SUITE}",
            code="unknown_suite",
            clause="specification.suite",
            remedy="ask with a version of Kapok that speaks it too",
        )
    if entry is None:
        raise NotFound(
            "this node has not joined that dataset",
            code="dataset_not_joined",
            clause="specification.dataset",
            remedy="ask the dataset's members only; this node's holder may join it",
        )
    _check_members(spec, name)
    kind = computation(spec.computation)
    if len(spec.nonce) != NONCE_BYTES:
        raise _bad("its nonce is wrong", "bad_specification", "nonce", "write it anew")
    question = kind.parse(spec.question, entry.dataset)
    if question.text != spec.question:
        raise _bad(
            "its question is not in canonical form",
            "question_not_canonical",
            "question",
            "send the parsed form",
        )
    _check_layout(spec, question)
    if spec.steered != kind.steered:
        raise _bad(
            f"the first round of a {spec.computation} has {'' if kind.steered else 'no '}parameters",
            "rounds_differ",
            "steered",
            "see that both sides run the same version of Kapok",
        )
    return AdmittedJob(
        read=read,
        joined=entry,
        computation=kind,
        question=question,
        question_key=hashed("node/question", spec.computation, question.substance),
        terms=_terms(read),
        tag_seed=_tag_seed(spec, name, tag_key),
    )


def noted_question(spec: JobSpec, entry: JoinedDataset | None, *, read_it: bool) -> tuple[str, str]:
    """The question as the journal keeps it and officers read it: in canonical form, and in words.

    An analyst's own text goes no further than the parser, and not as far unless `read_it`: whoever the policy
    has no rule for has no claim to this node's time. For a text that is not canonical a note stands, and no
    words.
    """
    if not read_it or entry is None:
        return f"(not read: {len(spec.question)} characters)", ""
    try:
        question = computation(spec.computation).parse(spec.question, entry.dataset)
        if question.text == spec.question:
            return question.text, question.describe()
    except Exception as error:  # noqa: BLE001 - whatever is asked, the try must be counted
        _log.info("a question could not be read", extra={"class": type(error).__name__})
    return f"(not in canonical form: {len(spec.question)} characters)", ""


def _check_members(spec: JobSpec, name: str) -> None:
    members = [PartyName.parse(text) for text in spec.members]
    if not 0 < len(members) <= MOST_MEMBERS or list(spec.members) != sorted(
        set(spec.members), key=str.encode
    ):
        raise _bad(
            f"its members are not 1 to {MOST_MEMBERS} different names in order",
            "bad_members",
            "members",
            "sort them, and name each once",
        )
    if any(member.role is not Role.NODE for member in members):
        raise _bad("a member is not a node", "bad_members", "members", "name nodes only")
    if name not in spec.members:
        raise _bad("this node is not among its members", "not_a_member", "members", "ask its members only")
    if set(spec.tag_seeds) != set(spec.members):
        raise _bad(
            "it does not carry one tag seed for each member", "bad_tag_seed", "tag_seeds", "write it anew"
        )


def _check_layout(spec: JobSpec, question: Asked) -> None:
    """What follows from question and schema alone must be what the specification says."""
    if (spec.words, spec.word_bits) != (question.words, question.word_bits):
        raise _bad(
            "question and schema give another number or width of words",
            "layout_differs",
            "words",
            "see that both sides run the same version of Kapok",
        )
    if spec.rounds != question.rounds:
        raise _bad(
            f"question and schema give {counted(question.rounds, 'round')}, and it asks for {spec.rounds}",
            "rounds_differ",
            "rounds",
            "see that both sides run the same version of Kapok",
        )


def _terms(read: ReadSpec) -> SumTerms:
    spec = read.spec
    terms = spec.terms(read.job_id, read.caller)
    check_result_key(terms)
    return terms


def _tag_seed(spec: JobSpec, name: str, tag_key: WrapKey) -> bytes:
    """Open what the analyst wrapped to the key of this node's membership."""
    info = tag_seed_info(bytes.fromhex(spec.dataset), spec.nonce, name)
    try:
        seed = tag_key.unwrap(spec.tag_seeds[name], info)
    except KapokError:
        seed = b""
    if len(seed) != TAG_SEED_BYTES:
        raise _bad(
            "its tag seed was not wrapped to the key of this node's membership",
            "bad_tag_seed",
            "tag_seeds",
            "ask again: the node may have joined anew since the catalogue was read, or another process under "
            "its name, and then it publishes its key again now; if this goes on, its holder stops the other "
            "process: the node's log warns of it",
        )
    return seed


def _bad(what: str, code: str, clause: str, remedy: str) -> InvalidInput:
    return InvalidInput(
        f"the specification cannot be used: {what}",
        code=code,
        clause=f"specification.{clause}",
        remedy=remedy,
    )
