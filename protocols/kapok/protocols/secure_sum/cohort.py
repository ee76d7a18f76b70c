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

A *reopening* changes the cohort: officers of every organisation of the old and the new set have signed it,
and from then on the new set alone binds the scope. Sums of the old and of the new set can then be subtracted,
which is what they signed for. The holders of a roster must have accepted the same last reopening: so one that
has not heard of it, or has another, is named, and nobody stands alone who has not agreed to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from kapok.errors import CohortTooSmall, InvalidInput, LocalProtocolError
from kapok.protocols.secure_sum.framing import HASH_BYTES
from kapok.protocols.secure_sum.params import MOST_MEMBERS

__all__ = [
    "MOST_COHORTS",
    "CohortRule",
    "CohortStatement",
    "PastRelease",
    "Reopened",
    "check_release",
    "check_roster",
    "in_force",
    "is_cohort",
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
        reopening: Identity of the last reopening of the scope that this holder has accepted, 32 bytes; empty
            when there was none.

    Raises:
        InvalidInput: ``bad_cohort`` when a cohort is not sorted, there are too many, or `reopening` is no
            identity.
    """

    rule: CohortRule
    cohorts: tuple[tuple[str, ...], ...] = ()
    reopening: bytes = b""

    def __post_init__(self) -> None:
        fits = len(self.cohorts) <= MOST_COHORTS and len(set(self.cohorts)) == len(self.cohorts)
        if not fits or not all(is_cohort(names) for names in self.cohorts):
            raise InvalidInput(
                "a cohort is a sorted tuple of different names, and no cohort is stated twice",
                code="bad_cohort",
            )
        if len(self.reopening) not in (0, HASH_BYTES):
            raise InvalidInput(f"a reopening's identity has {HASH_BYTES} bytes", code="bad_cohort")

    @classmethod
    def of(
        cls, rule: CohortRule, cohorts: Iterable[Iterable[str]] = (), reopening: bytes = b""
    ) -> CohortStatement:
        """Make a statement from names in any order."""
        named = sorted({tuple(sorted(set(names), key=str.encode)) for names in cohorts})
        return cls(rule, tuple(named), reopening)


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
        reopening: Identity of the scope's last reopening when it was made; empty when there was none.
    """

    job_id: bytes
    round: int
    attempt: int
    roster_hash: bytes
    names: tuple[str, ...]
    params_hash: bytes
    reopening: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reopened:
    """The last reopening of a scope that a holder has accepted.

    Attributes:
        id: Its identity, 32 bytes.
        serial: From 1; each that is accepted has a larger one than the one before.
        names: The cohort since then.
    """

    id: bytes
    serial: int
    names: tuple[str, ...]


def in_force(
    past: Iterable[PastRelease], reopened: Reopened | None, question: bytes | None = None
) -> tuple[tuple[str, ...], ...]:
    """The sets of names that bind a scope, the oldest first.

    Args:
        past: The scope's releases. Those from before the last reopening bind no more.
        reopened: The scope's last reopening: its set binds every question, under whatever rule.
        question: Only releases of this question, as under ``same-question``; None for all.
    """
    current = b"" if reopened is None else reopened.id
    bound = [] if reopened is None else [reopened.names]
    bound += [one.names for one in past if one.reopening == current and question in (None, one.params_hash)]
    return tuple(dict.fromkeys(bound))


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
        CohortTooSmall: ``cohort_differs``, ``cohort_rule_differs`` or ``reopening_differs``, naming who
            stated it.
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
            if statement.reopening != own.reopening:
                raise _reopened_otherwise(party)


def check_release(
    rule: CohortRule, release: PastRelease, past: Iterable[PastRelease], reopened: Reopened | None = None
) -> None:
    """Decide, in the transaction that journals it, whether a release may be made. Doing it again is allowed.

    Args:
        rule: The rule in force for the scope.
        release: The release that is asked for.
        past: All releases of the scope so far, and all of this job.
        reopened: The scope's last reopening.

    Raises:
        LocalProtocolError: ``already_released`` when another attempt of the round was released: with two of
            them open, a holder that is in one roster only stands alone in the difference.
        CohortTooSmall: ``cohort_differs`` when the scope is bound to another set of names.
    """
    past = tuple(past)
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
    if rule == "free":
        return
    bound = in_force(past, reopened, release.params_hash if rule == "same-question" else None)
    if any(set(names) != set(release.names) for names in bound):
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
        remedy="ask again with exactly the nodes of the first answer, all of them running; if one has left "
        "or is to come, officers of all of them can reopen the cohort: `kapok cohort propose`",
    )


def _reopened_otherwise(party: str) -> CohortTooSmall:
    return CohortTooSmall(
        f"{party} has not accepted the same last reopening of the cohort as this node: one of the two has "
        "not heard of it, or has another",
        code="reopening_differs",
        clause="policy.cohort",
        party=party,
        remedy="let every node of the new cohort accept the newest reopening (`kapok cohort show` says which "
        "has not), and ask again",
    )


def is_cohort(names: tuple[str, ...]) -> bool:
    """Whether these are 1 to 256 different names, sorted by their UTF-8 bytes."""
    return 0 < len(names) <= MOST_MEMBERS and list(names) == sorted(set(names), key=str.encode)
