"""What the local officer sees and decides, from another process beside the running node.

Who asks, the question in words, the rule that lets it pass, what its organisation asked before, and the
cohort; never a number of rows: a decision that depends on data would answer questions about single persons.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kapok.nodes.journal import JobRecord
from kapok.nodes.officers import open_inbox
from kapok.nodes.states import Event, NodeJobState
from kapok.nodes.wording import rule_in_words
from kapok.protocols.secure_sum.cohort import rule_in_force

__all__ = ["Cohort", "Question", "ShownQuestion", "approve", "deny", "pending", "show"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question that was put to this node.

    Attributes:
        job_id: Lower-case hex.
        analyst: Who asks.
        dataset: This node's name for it.
        question: As it was asked.
        in_words: The same as a sentence.
        state: See `kapok.nodes.states`; ``released`` for a job that was, even when it has ended since.
        asked_at: Seconds since the epoch.
        deadline: Seconds since the epoch.
    """

    job_id: str
    analyst: str
    dataset: str
    question: str
    in_words: str
    state: str
    asked_at: float
    deadline: float


@dataclass(frozen=True, slots=True)
class Cohort:
    """The rule that an answer would stand under, and the sets of nodes that were answered with before."""

    rule: str
    names: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class ShownQuestion:
    """All that an officer decides by.

    Attributes:
        question: Who asks what of which dataset.
        rule: The rule that lets it pass, in words; empty when nothing was judged yet.
        earlier: What the organisation asked of the table before, the latest first.
        cohort: What an answer would be bound to.
    """

    question: Question
    rule: tuple[str, ...]
    earlier: tuple[Question, ...]
    cohort: Cohort


def pending(home: Path | str) -> tuple[Question, ...]:
    """The questions that wait for a decision, oldest first.

    Raises:
        NotFound: ``no_settings``, or ``no_journal`` when the node has never run.
    """
    with open_inbox(home) as inbox:
        return tuple(_question(job) for job in inbox.pending())


def show(home: Path | str, job_id: str) -> ShownQuestion:
    """A question, what its organisation asked of the table before, and the cohort.

    Args:
        home: The node's folder.
        job_id: The job's id, or its beginning.

    Raises:
        NotFound: ``unknown_job``, or as in `pending`.
        InvalidInput: ``ambiguous_job``.
    """
    with open_inbox(home) as inbox:
        job = inbox.job(job_id)
        scope = inbox.scope(job.asset, job.organisation)
        policy = job.rule.cohort if job.rule else "fixed"
        names = scope.cohorts()
        earlier = inbox.earlier(job)
        released = inbox.released((job, *earlier))
        return ShownQuestion(
            _question(job, released),
            rule_in_words(job.rule_number, job.rule) if job.rule else (),
            tuple(_question(one, released) for one in earlier),
            Cohort(rule_in_force(policy, scope.fixed_with), names),
        )


def approve(home: Path | str, job_id: str) -> Question:
    """Let a pending question be answered; the running node goes on with it within a second.

    Raises:
        NotFound: ``unknown_job``, or as in `pending`.
        InvalidInput: ``not_pending``, ``ambiguous_job``, ``node_paused`` or ``journal_restored``.
        Unavailable: ``journal_unavailable``.
    """
    return _decide(home, job_id, Event.APPROVAL)


def deny(home: Path | str, job_id: str) -> Question:
    """Refuse a pending question. Raises what `approve` raises."""
    return _decide(home, job_id, Event.DENIAL)


def _decide(home: Path | str, job_id: str, event: Event) -> Question:
    with open_inbox(home) as inbox:
        return _question(inbox.decide(inbox.job(job_id).job_id, event))


def _question(job: JobRecord, released: frozenset[str] = frozenset()) -> Question:
    return Question(
        job_id=job.job_id,
        analyst=job.analyst,
        dataset=job.dataset,
        question=job.question,
        in_words=job.in_words,
        state=str(NodeJobState.RELEASED if job.job_id in released else job.state),
        asked_at=job.asked_at,
        deadline=job.deadline,
    )
