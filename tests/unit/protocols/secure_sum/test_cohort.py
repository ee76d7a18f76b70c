"""Which rosters a holder goes along with, and what it may release, under each rule."""

from dataclasses import replace

import pytest

from kapok.errors import CohortTooSmall, InvalidInput, LocalProtocolError
from kapok.protocols.secure_sum.cohort import (
    CohortStatement,
    PastRelease,
    Reopened,
    check_release,
    check_roster,
    in_force,
    rule_in_force,
)

NAMES = ("a", "b", "c", "d")
NONE_YET = {rule: CohortStatement(rule) for rule in ("fixed", "same-question", "free")}


def past(names=NAMES, *, job=b"j", number=1, attempt=1, roster=b"r", params=b"p"):
    return PastRelease(
        job_id=job * 32,
        round=number,
        attempt=attempt,
        roster_hash=roster * 32,
        names=names,
        params_hash=params * 32,
    )


def all_state(statement, **others):
    return dict.fromkeys(NAMES, statement) | others


def test_a_first_roster_is_accepted_when_all_state_the_same_rule():
    for statement in NONE_YET.values():
        check_roster(statement, NAMES, all_state(statement))


def test_the_cohorts_own_roster_is_accepted():
    statement = CohortStatement("fixed", (NAMES,))
    check_roster(statement, NAMES, all_state(statement, c=NONE_YET["fixed"]))


@pytest.mark.parametrize("other", ["same-question", "free"])
def test_fixed_refuses_another_rule(other):
    with pytest.raises(CohortTooSmall) as error:
        check_roster(NONE_YET["fixed"], NAMES, all_state(NONE_YET["fixed"], c=NONE_YET[other]))
    assert (error.value.code, error.value.party) == ("cohort_rule_differs", "c")


@pytest.mark.parametrize("cohort", [("a", "b", "c"), ("a", "b", "c", "d", "e"), ("x", "y", "z")])
@pytest.mark.parametrize("rule", ["fixed", "same-question"])
def test_another_cohort_is_refused_whoever_states_it(rule, cohort):
    bound = CohortStatement(rule, (cohort,))
    with pytest.raises(CohortTooSmall) as error:
        check_roster(bound, NAMES, all_state(NONE_YET[rule]))
    assert (error.value.code, error.value.party) == ("cohort_differs", None)
    with pytest.raises(CohortTooSmall) as error:
        check_roster(NONE_YET[rule], NAMES, all_state(NONE_YET[rule], b=bound))
    assert (error.value.code, error.value.party) == ("cohort_differs", "b")


def test_two_stated_cohorts_cannot_both_be_the_roster():
    bound = CohortStatement("fixed", (NAMES, ("a", "b", "c")))
    with pytest.raises(CohortTooSmall):
        check_roster(bound, NAMES, all_state(NONE_YET["fixed"]))


def test_same_question_refuses_the_free():
    with pytest.raises(CohortTooSmall) as error:
        check_roster(
            NONE_YET["same-question"], NAMES, all_state(NONE_YET["same-question"], d=NONE_YET["free"])
        )
    assert error.value.code == "cohort_rule_differs"


def test_same_question_leaves_the_stricter_to_their_own_check():
    fixed = CohortStatement("fixed", (("x", "y", "z"),))
    check_roster(NONE_YET["same-question"], NAMES, all_state(NONE_YET["same-question"], d=fixed))


def test_free_takes_any_roster():
    check_roster(NONE_YET["free"], NAMES, all_state(NONE_YET["free"], d=CohortStatement("fixed", (("x",),))))


@pytest.mark.parametrize("rule", ["fixed", "same-question", "free"])
@pytest.mark.parametrize(
    "other", [{"attempt": 2}, {"roster": b"s"}, {"params": b"q"}, {"attempt": 2, "names": ("a", "b", "c")}]
)
def test_at_most_one_attempt_of_a_round(rule, other):
    with pytest.raises(LocalProtocolError) as error:
        check_release(rule, past(**other), [past()])
    assert error.value.code == "already_released"


@pytest.mark.parametrize("rule", ["fixed", "same-question", "free"])
def test_the_same_release_again_and_the_next_round_are_allowed(rule):
    check_release(rule, past(), [past()])
    check_release(rule, past(number=2, params=b"q"), [past()])
    check_release(rule, past(job=b"k"), [past()])


def test_fixed_binds_every_question_of_the_scope():
    with pytest.raises(CohortTooSmall):
        check_release("fixed", past(("a", "b", "c"), job=b"k", params=b"q"), [past()])


def test_same_question_binds_that_question():
    with pytest.raises(CohortTooSmall):
        check_release("same-question", past(("a", "b", "c"), job=b"k"), [past()])
    check_release("same-question", past(("a", "b", "c"), job=b"k", params=b"q"), [past()])


def test_free_binds_nothing_across_jobs():
    check_release("free", past(("a", "b", "c"), job=b"k"), [past()])


@pytest.mark.parametrize(
    ("policy", "fixed_with", "expected"),
    [
        ("free", None, "free"),
        ("free", "fixed", "fixed"),
        ("same-question", "fixed", "fixed"),
        ("fixed", "free", "fixed"),
        ("free", "same-question", "same-question"),
    ],
)
def test_a_later_policy_tightens_and_never_loosens(policy, fixed_with, expected):
    assert rule_in_force(policy, fixed_with) == expected


def test_names_are_sorted_by_their_utf8_bytes():
    assert CohortStatement.of("fixed", [["é", "z", "a"], ["b"]]).cohorts == (("a", "z", "é"), ("b",))
    with pytest.raises(InvalidInput) as error:
        CohortStatement("fixed", (("b", "a"),))
    assert error.value.code == "bad_cohort"


REOPENED = Reopened(id=b"R" * 32, serial=1, names=("a", "b", "c"))
SINCE = replace(past(("a", "b", "c"), job=b"k"), reopening=REOPENED.id)


@pytest.mark.parametrize("rule", ["fixed", "same-question"])
def test_since_a_reopening_its_names_alone_bind_whatever_the_question(rule):
    other = past(NAMES, job=b"l", params=b"q")
    for before in ([past()], [past(), SINCE]):
        check_release(rule, past(("a", "b", "c"), job=b"l"), before, REOPENED)
        with pytest.raises(CohortTooSmall) as error:
            check_release(rule, other, before, REOPENED)
        assert error.value.code == "cohort_differs"
    check_release("free", other, [past(), SINCE], REOPENED)


def test_a_reopening_does_not_undo_that_a_round_was_released():
    with pytest.raises(LocalProtocolError) as error:
        check_release("fixed", past(("a", "b", "c"), attempt=2), [past()], REOPENED)
    assert error.value.code == "already_released"


def test_what_is_in_force_is_what_was_released_since():
    other = replace(past(("a", "b", "e"), params=b"q"), reopening=REOPENED.id)
    assert in_force([past(), past(("x",))], None) == (NAMES, ("x",))
    assert in_force([past()], REOPENED) == (("a", "b", "c"),)
    assert in_force([past(), SINCE, other], REOPENED) == (("a", "b", "c"), ("a", "b", "e"))
    assert in_force([past(), SINCE, other], REOPENED, b"p" * 32) == (("a", "b", "c"),)


@pytest.mark.parametrize("rule", ["fixed", "same-question"])
@pytest.mark.parametrize("theirs", [b"", b"S" * 32])
def test_members_of_a_roster_have_accepted_the_same_last_reopening(rule, theirs):
    own = CohortStatement(rule, (NAMES,), REOPENED.id)
    check_roster(own, NAMES, all_state(own))
    for mine, other in ((own, theirs), (CohortStatement(rule, (NAMES,), theirs), REOPENED.id)):
        with pytest.raises(CohortTooSmall) as error:
            check_roster(mine, NAMES, all_state(mine, b=CohortStatement(rule, (), other)))
        assert (error.value.code, error.value.party) == ("reopening_differs", "b")


def test_a_reopenings_identity_has_one_length():
    with pytest.raises(InvalidInput) as error:
        CohortStatement("fixed", (), b"short")
    assert error.value.code == "bad_cohort"
