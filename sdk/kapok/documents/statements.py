"""What parties sign outside the sum itself: membership, job specification, refusal, opinion.

Each is a frozen structure with one JSON form; it travels as the payload of a JWS (`kapok.documents.envelope`)
whose `typ` its verifier requires. A job's identity is the SHA-256 of the decoded payload bytes of its
specification, never of the signature: ECDSA signatures can be altered and still verify.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from kapok.errors import InvalidInput, KapokError, NotAuthorised, error_class, is_code
from kapok.identity.names import PartyName
from kapok.protocols.paillier.public import EncodedKey
from kapok.protocols.secure_sum.params import Party, Seal, SumTerms
from kapok.protocols.secure_sum.roster import params_hash_of
from kapok.protocols.sizes import WRAP_KEY_BYTES, KeyProfile

__all__ = [
    "GREETING_TYP",
    "INQUIRY_TYP",
    "JOB_TYP",
    "MEMBERSHIP_TYP",
    "MOST_DEADLINE_S",
    "NONCE_BYTES",
    "OPINION_TYP",
    "REFUSAL_TYP",
    "Greeting",
    "JobSpec",
    "Membership",
    "OpinionStatement",
    "RefusalStatement",
    "ResultKey",
]

JOB_TYP: Final = "kapok-job+jws"
MEMBERSHIP_TYP: Final = "kapok-membership+jws"
REFUSAL_TYP: Final = "kapok-refusal+jws"
INQUIRY_TYP: Final = "kapok-inquiry+jws"
"""A specification signed under this type is an inquiry: it says all that a job would, and is none."""
OPINION_TYP: Final = "kapok-opinion+jws"
GREETING_TYP: Final = "kapok-greeting+jws"
NONCE_BYTES: Final = 32
MOST_DEADLINE_S: Final = 30 * 24 * 3600
"""Farthest deadline of a job from the moment it is asked: 30 days, which journals have to remember."""


class ResultKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The public half of an analyst's Paillier key (`kapok.protocols.paillier.public.EncodedKey`)."""

    n: bytes
    h_s: bytes
    profile: KeyProfile


class Greeting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whom a broker answers just now. Signed by the broker, for the caller whom TLS has shown to it alone.

    Attributes:
        caller: The caller's name.
        nonce: What the caller has drawn for this once, `NONCE_BYTES` long.
    """

    caller: str
    nonce: bytes


class Membership(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A node joins a dataset. Signed by the node.

    Attributes:
        dataset: Hash of the dataset, lower-case hex.
        tag_key: Public HPKE key (ML-KEM-768 ‖ X25519, 1216 bytes) to which analysts wrap tag seeds for this
            node.

    Raises:
        InvalidInput: ``bad_tag_key`` when the key has another length.
    """

    dataset: str
    tag_key: bytes

    def __post_init__(self) -> None:
        if len(self.tag_key) != WRAP_KEY_BYTES:
            raise InvalidInput(
                f"a tag key is {WRAP_KEY_BYTES} bytes",
                code="bad_tag_key",
                clause="membership.tag_key",
                remedy="the node's people must run a version of Kapok that speaks this protocol suite",
            )


class JobSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One question under one agreement. Signed by the analyst.

    The analyst stands inside what is signed: otherwise two analysts could sign one payload, and one job would
    have two askers, each with budget and cohorts of its own.

    Attributes:
        analyst: SPIFFE name of the analyst: it must be the signer's (`check_signer`).
        suite: Name of the protocol suite, ``kapok-sum-1``.
        computation: Kind of question, e.g. ``query``.
        question: Its text in the computation's canonical form; readable by the broker.
        dataset: Hash of the dataset, lower-case hex.
        members: Names of the nodes that are asked, sorted, no name twice.
        at_least: Least number of *organisations* that must take part; all of them by default. Each takes part
            with all its nodes that are named, or with none.
        seal: ``paillier`` or ``pad``.
        words: Number of data words of one contribution: public, follows from question and schema.
        word_bits: Width b of a data word, a multiple of 8.
        result_key: Needed exactly when the seal is ``paillier``.
        receiver_key: Public HPKE key R, fresh for this job.
        tag_seeds: For each member its tag seed, HPKE-wrapped to the key of its membership.
        rounds: Largest number of rounds.
        deadline: Seconds since the epoch after which the job has failed.
        nonce: 32 random bytes.
        steered: The first round has parameters, too: it waits for the analyst as the later ones do.
    """

    analyst: str
    suite: str
    computation: str
    question: str
    dataset: str
    members: tuple[str, ...]
    at_least: int
    seal: Literal["paillier", "pad"]
    words: int
    word_bits: int
    result_key: ResultKey | None
    receiver_key: bytes
    tag_seeds: dict[str, bytes]
    rounds: int
    deadline: int
    nonce: bytes
    steered: bool = False

    def has_parameters(self, number: int) -> bool:
        """Whether the round of that number is computed from parameters, and not from the question alone."""
        return self.steered or number > 1

    @property
    def seal_in_words(self) -> str:
        """How the sum travels, and under what kind of key, e.g. ``paillier, key of profile standard``."""
        return (
            self.seal if self.result_key is None else f"{self.seal}, key of profile {self.result_key.profile}"
        )

    @property
    def params_hash(self) -> bytes:
        """The hash that every seal of a one-round job carries, 32 bytes: its question is all its parameters.

        Raises:
            InvalidInput: ``bad_specification`` when `dataset` is no hash.
        """
        try:
            dataset = bytes.fromhex(self.dataset)
        except ValueError:
            raise InvalidInput(
                "the specification's dataset is no hash in hexadecimal",
                code="bad_specification",
                clause="specification.dataset",
            ) from None
        return params_hash_of(self.computation, self.question, dataset)

    def terms(self, job_id: str, analyst: PartyName) -> SumTerms:
        """What the specification fixes about its sums.

        Args:
            job_id: Hash of the payload, lower-case hex.
            analyst: Who signed it (`check_signer`).

        Raises:
            InvalidInput: ``bad_party_name`` or ``bad_terms`` when its fields do not hold together.
        """
        members = [PartyName.parse(name) for name in self.members]
        key = self.result_key
        return SumTerms(
            job_id=bytes.fromhex(job_id),
            members=frozenset(Party(str(name), name.organisation_id) for name in members),
            at_least=self.at_least,
            receiver_organisation=analyst.organisation_id,
            seal=Seal(self.seal),
            words=self.words,
            word_bits=self.word_bits,
            result_key=None if key is None else EncodedKey(key.n, key.h_s, key.profile),
            receiver_key=self.receiver_key,
            rounds=self.rounds,
        )

    def check_signer(self, signer: str) -> None:
        """Refuse a specification that another party has signed than the analyst whom it names.

        Raises:
            NotAuthorised: ``not_the_signer``.
        """
        if self.analyst != signer:
            raise NotAuthorised(
                f"the specification was signed by {signer}, who is not the analyst that it names",
                code="not_the_signer",
                clause="specification.analyst",
                party=signer,
                remedy="let the analyst sign whom the specification names",
            )


class RefusalStatement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A node says no. Signed by the node. Depends on specification, schema and policy, never on the data.

    Attributes:
        job: The job's identity, lower-case hex.
        kind: Name of the class in `kapok.errors`, e.g. ``ConsentWithheld``.
        code: Stable snake_case word.
        message: What was refused.
        clause: The rule that failed.
        remedy: What would satisfy it.

    Raises:
        InvalidInput: ``bad_refusal`` when `code` is no snake_case word.
    """

    job: str
    kind: str
    code: str
    message: str
    clause: str
    remedy: str

    def __post_init__(self) -> None:
        if not is_code(self.code):
            raise InvalidInput("the code of a refusal is not a snake_case word", code="bad_refusal")

    def error(self, party: str) -> KapokError:
        """The error that it states, as the node raised it; `party` is the node that signed it."""
        return error_class(self.kind)(
            self.message, code=self.code, remedy=self.remedy or None, clause=self.clause or None, party=party
        )


class OpinionStatement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a node would answer a specification that was shown to it as an inquiry. Signed by the node.

    It says what the answer to an offer would say, and no more; nothing was counted, and nothing is promised:
    a later question is judged anew.

    Attributes:
        inquiry: Identity of the inquiry, lower-case hex.
        approval: Of a question that would be allowed: ``automatic``, or ``manual`` where an officer would
            decide; None of one that would be refused.
        refusal: What the refusal would be, its `job` the inquiry's identity; None of one that would be
            allowed.

    Raises:
        InvalidInput: ``bad_opinion`` when it is neither one nor the other.
    """

    inquiry: str
    approval: Literal["automatic", "manual"] | None
    refusal: RefusalStatement | None

    def __post_init__(self) -> None:
        refused = self.refusal is not None
        if refused == (self.approval is not None) or (self.refusal and self.refusal.job != self.inquiry):
            raise InvalidInput("the opinion says neither yes nor no, or both", code="bad_opinion")
