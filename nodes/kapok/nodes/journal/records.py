"""What the journal takes and gives: plain frozen values."""

from __future__ import annotations

from dataclasses import dataclass

from kapok.documents.reopening import SignedReopening
from kapok.errors import InternalError
from kapok.nodes.policy import History, Rule
from kapok.nodes.states import NodeJobState
from kapok.protocols.secure_sum.cohort import (
    MOST_COHORTS,
    CohortRule,
    CohortStatement,
    PastRelease,
    Reopened,
    in_force,
    rule_in_force,
)
from kapok.protocols.secure_sum.records import ReleaseRecord

__all__ = [
    "AcceptedReopening",
    "Decision",
    "JobRecord",
    "NewJob",
    "Pause",
    "Scope",
    "StoredRelease",
    "StoredSeal",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job as it is first seen: a try. `dataset` and `asset` are empty when the node has not joined it.

    Attributes:
        job_id: Lower-case hex.
        analyst: Who asks.
        organisation: The analyst's, in full.
        dataset: This node's name for it, or empty.
        asset: The table's name, or empty.
        question: As it was asked.
        in_words: As a sentence, where it was understood.
        deadline: Seconds since the epoch.
        rule_number: Of the rule that is about analyst and dataset; 0 when there is none.
        in_force: Number of the policy in force.
        refusal: The signed refusal of a question that comes when none is answered: it is no try then.
    """

    job_id: str
    analyst: str
    organisation: str
    dataset: str
    asset: str
    question: str
    in_words: str = ""
    deadline: float
    rule_number: int = 0
    in_force: int = 0
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a question is answered by.

    Attributes:
        rule: The policy's.
        rule_number: Its number in the file.
        in_force: That of the policy in force.
        app: The number of the approval by hand by which an app works for it; 0 for none.
    """

    rule: Rule
    rule_number: int
    in_force: int
    app: int = 0


@dataclass(frozen=True, slots=True)
class Pause:
    """A time in which the holder has stopped the node.

    Attributes:
        reason: The holder's own; it goes to nobody else.
        paused_at: Seconds since the epoch.
        paused_by: The operating system's user.
        resumed_at: None while it is stopped.
        resumed_by: Empty while it is stopped.
    """

    reason: str
    paused_at: float
    paused_by: str
    resumed_at: float | None
    resumed_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """A job in the journal.

    Attributes:
        number: Order of asking at this node.
        job_id: Lower-case hex.
        analyst: Who asks.
        organisation: The analyst's, in full.
        dataset: This node's name for it, or empty.
        asset: The table's name, or empty.
        question: As it was asked.
        in_words: As a sentence, once it was understood.
        rule: The rule in force at the last judgement, or None.
        specification: The signed specification, once it was allowed.
        deadline: Seconds since the epoch.
        state: Where it is.
        refusal: The signed refusal, or empty.
        asked_at: Seconds since the epoch.
        rule_number: Of that rule in the policy, from 1; 0 without one.
        in_force: Number of the policy that the last decision was made by; 0 for none that is known.
        decided_by: The officer who approved or denied it, as the operating system names them; or empty.
        decided_at: When; None without a decision.
    """

    number: int
    job_id: str
    analyst: str
    organisation: str
    dataset: str
    asset: str
    question: str
    in_words: str
    rule: Rule | None
    specification: str
    deadline: float
    state: NodeJobState
    refusal: str
    asked_at: float
    rule_number: int
    in_force: int
    decided_by: str
    decided_at: float | None


@dataclass(frozen=True, slots=True)
class StoredSeal:
    """What the release of an attempt needs.

    Attributes:
        record: Of the attempt.
        in_force: Number of the policy under which it was sealed.
        question: Stands for what it answers; empty for the question of its job.
        app: Number of the approval by hand by which an app has worked for it; 0 for none.
    """

    record: ReleaseRecord
    in_force: int
    question: bytes = b""
    app: int = 0


@dataclass(frozen=True, slots=True)
class StoredRelease:
    """A release that was signed: for which attempt, and the token."""

    attempt: int
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedReopening:
    """A reopening that this node has accepted, in which scope and when (seconds since the epoch)."""

    id: str
    asset: str
    organisation: str
    document: SignedReopening
    accepted_at: float


@dataclass(frozen=True, slots=True)
class Scope:
    """What binds one asset and one organisation, and how its cohort was changed.

    Attributes:
        releases: As many as the rules need, the oldest first: one for each set of names since the last
            reopening, one for each set of this question's, and all of the job that was asked about.
            `params_hash` stands for the question, whatever the dataset's hash.
        fixed_with: The strictest rule under which anything was released, or None.
        reopened: The last reopening that was accepted, or None.
        question: Stands for the question that was asked about, 32 bytes; None for none.
    """

    releases: tuple[PastRelease, ...]
    fixed_with: CohortRule | None
    reopened: Reopened | None = None
    question: bytes | None = None

    def cohorts(self) -> tuple[tuple[str, ...], ...]:
        """The sets of names that bind the scope, the oldest first."""
        return in_force(self.releases, self.reopened)

    def statement(self, policy: CohortRule) -> CohortStatement:
        """What the node states about the scope when it consents to the question."""
        rule = rule_in_force(policy, self.fixed_with)
        bound = in_force(self.releases, self.reopened, self._asked if rule == "same-question" else None)
        return CohortStatement.of(
            rule, bound[-MOST_COHORTS:], b"" if self.reopened is None else self.reopened.id
        )

    def history(self, questions: int, today: int) -> History:
        """What a judgement needs to know of the scope, and of the tries before: ever, and on the same day."""
        return History(questions, today, self.cohorts(), self.fixed_with)

    @property
    def _asked(self) -> bytes:
        if self.question is None:
            raise InternalError("a scope was read without the question that it is needed for")
        return self.question
