"""Who makes up the next attempt, given what everyone has answered. No side effects.

A job needs everyone whom it names: then one refusal ends it, and nothing is decided before the last
consent. With a smaller `at_least` it goes on with the organisations that consented, each with all its nodes
that are named (every role refuses a roster with some of them), once everybody has answered or the grace is
over; and if they have a cohort already, with exactly that cohort, for which it waits as long as its deadline
allows.

A later round needs exactly the members of the round before it, all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kapok.broker.computation.admitted import AdmittedJob
from kapok.errors import CohortTooSmall, KapokError
from kapok.protocols.secure_sum.cohort import CohortStatement

__all__ = ["Answer", "GiveUp", "OpenWith", "Verdict", "Wait", "choose_roster", "same_roster", "stated_cohort"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one member of a job has answered so far.

    Attributes:
        node: Its name.
        organisation: Its organisation.
        consent: What its current consent states about cohorts, or None.
        refusal: Its refusal, or None.
        left_behind: The others went on without it, and it has not come back.
    """

    node: str
    organisation: str
    consent: CohortStatement | None = None
    refusal: KapokError | None = None
    left_behind: bool = False

    @property
    def silent(self) -> bool:
        """Whether it can still be waited for."""
        return self.consent is None and self.refusal is None and not self.left_behind


@dataclass(frozen=True, slots=True)
class Wait:
    """Not yet."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The job cannot go on."""

    error: KapokError


@dataclass(frozen=True, slots=True)
class OpenWith:
    """These members make up the roster: sorted by the UTF-8 bytes of their names."""

    names: tuple[str, ...]


Verdict = Wait | GiveUp | OpenWith


def choose_roster(job: AdmittedJob, answers: Sequence[Answer], *, grace_over: bool) -> Verdict:
    """Decide what becomes of a gathering job.

    Args:
        job: The job.
        answers: One for each member that the specification names.
        grace_over: Whether a job that does not need everyone has waited long enough for the silent.
    """
    refusals = [answer for answer in answers if answer.refusal is not None]
    if job.needs_everyone:
        if refusals:
            return GiveUp(_refused(refusals[0]))
        return OpenWith(_names(answers)) if all(answer.consent for answer in answers) else Wait()
    willing = _whole(answers, [answer for answer in answers if answer.consent is not None])
    possible = _whole(answers, [answer for answer in answers if answer.consent is not None or answer.silent])
    cohort = stated_cohort(job, answers)
    if cohort:
        lost = [answer for answer in cohort if answer.refusal is not None]
        if lost:
            return GiveUp(_too_few(job, lost))
        return OpenWith(_names(cohort)) if all(answer.consent for answer in cohort) else Wait()
    if not job.enough(_organisations(possible)):
        return GiveUp(_too_few(job, refusals))
    if job.enough(_organisations(willing)) and (grace_over or not any(one.silent for one in possible)):
        return OpenWith(_names(willing))
    return Wait()


def same_roster(names: Sequence[str], answers: Sequence[Answer]) -> Verdict:
    """Decide what becomes of a later round whose attempt was voided.

    Args:
        names: The roster of the round before.
        answers: One for each member that the specification names.
    """
    wanted = [answer for answer in answers if answer.node in set(names)]
    for answer in wanted:
        if answer.refusal is not None:
            return GiveUp(answer.refusal)
    return OpenWith(_names(wanted)) if all(answer.consent for answer in wanted) else Wait()


def _whole(answers: Sequence[Answer], chosen: Sequence[Answer]) -> Sequence[Answer]:
    """Those of the chosen whose organisation is chosen with all its nodes."""
    broken = _organisations(answer for answer in answers if answer not in chosen)
    return [answer for answer in chosen if answer.organisation not in broken]


def stated_cohort(job: AdmittedJob, answers: Sequence[Answer]) -> Sequence[Answer] | None:
    """The members of the one cohort stated under the rule ``fixed``, if this job can be for it."""
    stated = {
        cohort
        for answer in answers
        if answer.consent is not None and answer.consent.rule == "fixed"
        for cohort in answer.consent.cohorts
    }
    if len(stated) != 1:
        return None
    names = set(stated.pop())
    cohort = [answer for answer in answers if answer.node in names]
    whole = len(_whole(answers, cohort)) == len(cohort) == len(names)
    fits = whole and job.enough(_organisations(cohort))
    return cohort if fits else None


def _names(answers: Sequence[Answer]) -> tuple[str, ...]:
    return tuple(sorted((answer.node for answer in answers), key=str.encode))


def _organisations(answers: Iterable[Answer]) -> frozenset[str]:
    return frozenset(answer.organisation for answer in answers)


def _refused(answer: Answer) -> KapokError:
    if answer.refusal is None:
        raise AssertionError("no refusal")
    return answer.refusal


def _too_few(job: AdmittedJob, refusals: Sequence[Answer]) -> KapokError:
    # It is nobody's own error, so it names no party: who refused is in the message.
    said = "; ".join(f"{answer.node}: {_refused(answer).message}" for answer in refusals)
    last = refusals[-1] if refusals else None
    return CohortTooSmall(
        f"fewer than {job.terms.at_least} organisations can take part" + (f" ({said})" if said else ""),
        code="too_few_organisations",
        clause=_refused(last).clause if last else "specification.at_least",
        remedy=_refused(last).remedy if last else "ask again when more of the nodes are running",
    )
