"""One cohort: which rosters a holder may ever release to, given what it and the others have released before.

Sums of different rosters subtract. A pretended drop, a second job with one hospital left out, or four rosters
of which no two look alike isolate one holder's contribution. So a holder's first release of an asset to a
receiver's organisation (together: a *scope*) fixes the cohort, the exact set of node names, with the rule in
force:

    fixed           nothing of that scope is ever released for another set of names (the default)
    same-question   no other set of names for the same canonical question and parameters; near-equal questions
                    get through, and show a dropped party's contribution approximately
    free            no limit

The rule protects a holder only if the others keep it too: who states ``free`` may help to open the sum of all
the others, and the difference of the two sums is this holder's contribution. So each consent states the rule
and the cohorts that the scope already has, `check_roster` runs when an attempt opens, and `check_release`
runs again when it is released, on what the journal says *then* (two first jobs may have been open at once).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from kapok.errors import CohortTooSmall, InvalidInput, LocalProtocolError
from kapok.protocols.secure_sum.params import MOST_MEMBERS

__all__ = [
    "MOST_COHORTS",
    "CohortRule",
    "CohortStatement",
    "PastRelease",
    "check_release",
    "check_roster",
    "rule_in_force",
]

CohortRule = Literal["fixed", "same-question", "free"]
MOST_COHORTS: Final = 1024
_STRICTNESS: Final[Mapping[str, int]] = {"free": 0, "same-question": 1, "fixed": 2}


class CohortStatement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a holder states in its consent about the scope of this job.

    Attributes:
        rule: The rule in force for the scope.
        cohorts: Every set of names that the rule already binds the scope to, each sorted by UTF-8 bytes, none
            twice; under ``same-question`` those of this question only.

    Raises:
        InvalidInput: ``bad_cohort`` when a cohort is not sorted, or there are too many.
    """

    rule: CohortRule
    cohorts: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        fits = len(self.cohorts) <= MOST_COHORTS and len(set(self.cohorts)) == len(self.cohorts)
        if not fits or not all(_is_cohort(names) for names in self.cohorts):
            raise InvalidInput(
                "a cohort is a sorted tuple of different names, and no cohort is stated twice",
                code="bad_cohort",
            )

    @classmethod
    def of(cls, rule: CohortRule, cohorts: Iterable[Iterable[str]] = ()) -> CohortStatement:
        """Make a statement from names in any order."""
        return cls(rule, tuple(sorted({tuple(sorted(set(names), key=str.encode)) for names in cohorts})))


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRelease:
    """One release that the journal holds for a scope (an asset, and the receiver's organisation).

    Attributes:
        job_id: 32 bytes.
        round: From 1.
        attempt: From 1.
        roster_hash: 32 bytes.
        names: Names of the roster, in its order.
        params_hash: Question and parameters, 32 bytes.
    """

    job_id: bytes
    round: int
    attempt: int
    roster_hash: bytes
    names: tuple[str, ...]
    params_hash: bytes


def rule_in_force(policy: CohortRule, fixed_with: CohortRule | None) -> CohortRule:
    """The rule for a scope: the policy's, but never looser than the one with which its cohort was fixed."""
    if fixed_with is None:
        return policy
    return max(policy, fixed_with, key=_STRICTNESS.__getitem__)


def check_roster(own: CohortStatement, names: tuple[str, ...], stated: Mapping[str, CohortStatement]) -> None:
    """Decide whether a holder goes along with a roster.

    Args:
        own: What this holder states.
        names: The roster's names, in its order.
        stated: What each member stated in its consent, by name.

    Raises:
        CohortTooSmall: ``cohort_differs`` or ``cohort_rule_differs``, naming who stated it.
    """
    if own.rule == "free":
        return
    _check_cohorts("this node", None, own, names)
    for party, statement in stated.items():
        # Under same-question a stricter member does no harm here; it refuses by its own check.
        loose = statement.rule != own.rule if own.rule == "fixed" else statement.rule == "free"
        if loose:
            raise CohortTooSmall(
                f"{party} keeps the cohort rule {statement.rule}, this node {own.rule}: "
                "sums opened with its help could be subtracted from one another",
                code="cohort_rule_differs",
                clause="policy.cohort",
                party=party,
                remedy="let all nodes of the roster keep the same rule",
            )
        if statement.rule == own.rule:
            _check_cohorts(party, party, statement, names)


def check_release(rule: CohortRule, release: PastRelease, past: Iterable[PastRelease]) -> None:
    """Decide, in the transaction that journals it, whether a release may be made. Doing it again is allowed.

    Args:
        rule: The rule in force for the scope.
        release: The release that is asked for.
        past: All releases of the scope so far, and all of this job.

    Raises:
        LocalProtocolError: ``already_released`` when another attempt of the round was released: with two of
            them open, a holder that is in one roster only stands alone in the difference.
        CohortTooSmall: ``cohort_differs`` when the scope is bound to another set of names.
    """
    for earlier in past:
        same_round = (earlier.job_id, earlier.round) == (release.job_id, release.round)
        if same_round and (earlier.attempt, earlier.roster_hash, earlier.params_hash) != (
            release.attempt,
            release.roster_hash,
            release.params_hash,
        ):
            raise LocalProtocolError(
                f"attempt {earlier.attempt} of round {release.round} has been released; another never is",
                code="already_released",
            )
        bound = rule == "fixed" or (rule == "same-question" and earlier.params_hash == release.params_hash)
        if bound and set(earlier.names) != set(release.names):
            raise _differs("this node", None)


def _check_cohorts(who: str, party: str | None, statement: CohortStatement, names: tuple[str, ...]) -> None:
    if any(cohort != names for cohort in statement.cohorts):
        raise _differs(who, party)


def _differs(who: str, party: str | None) -> CohortTooSmall:
    return CohortTooSmall(
        f"{who} has released to this receiver's organisation with another set of nodes than this roster's; "
        "the two sums could be subtracted from one another",
        code="cohort_differs",
        clause="policy.cohort",
        party=party,
        remedy="ask again with exactly the nodes of the first answer, all of them running",
    )


def _is_cohort(names: tuple[str, ...]) -> bool:
    return 0 < len(names) <= MOST_MEMBERS and list(names) == sorted(set(names), key=str.encode)
