"""What the journal takes and gives: plain frozen values."""

from __future__ import annotations

from dataclasses import dataclass

from kapok.nodes.policy import History, Rule
from kapok.nodes.states import NodeJobState
from kapok.protocols.secure_sum.cohort import (
    MOST_COHORTS,
    CohortRule,
    CohortStatement,
    PastRelease,
    rule_in_force,
)

__all__ = ["JobRecord", "NewJob", "Scope", "StoredRelease"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job as it is first seen: a try. `dataset` and `asset` are empty when the node has not joined it."""

    job_id: str
    analyst: str
    organisation: str
    dataset: str
    asset: str
    question: str
    deadline: float


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


@dataclass(frozen=True, slots=True)
class StoredRelease:
    """A release that was signed: for which attempt, and the token."""

    attempt: int
    token: str


@dataclass(frozen=True, slots=True)
class Scope:
    """What was released of one asset to one organisation.

    Attributes:
        releases: All of them; `params_hash` stands for the question, whatever the dataset's hash.
        fixed_with: The strictest rule under which one of them was made, or None.
    """

    releases: tuple[PastRelease, ...]
    fixed_with: CohortRule | None

    def statement(self, policy: CohortRule, question: bytes) -> CohortStatement:
        """What the node states about the scope when it consents to this question."""
        rule = rule_in_force(policy, self.fixed_with)
        bound = [one.names for one in self.releases if rule != "same-question" or one.params_hash == question]
        return CohortStatement.of(rule, list(dict.fromkeys(bound))[-MOST_COHORTS:])

    def history(self, questions: int) -> History:
        """What a judgement needs to know of the scope, and of the tries before."""
        return History(questions, tuple({one.names: None for one in self.releases}), self.fixed_with)
