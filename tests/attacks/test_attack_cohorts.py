"""Attacks that subtract sums of different rosters from one another.

Every attack is run twice: against the defence, and with the defence taken out, where it must succeed in
reading one node's contribution. An attack that fails either way would show nothing.
"""

import pytest
from support.nodes import Deployment, subtract

from kapok.protocols.secure_sum import cohort, holder

VALUES = {
    "a": [11, -5],
    "b": [230, 7],
    "c": [3, 3],
    "d": [4000, -123],
    "e": [77, 78],
    "f": [-9, 1],
    "g": [6, 600],
}

both_ways = pytest.mark.parametrize("defended", [True, False], ids=["defended", "defence removed"])


def nodes(letters, **rules):
    return Deployment({letter: VALUES[letter] for letter in letters}, rules)


@pytest.fixture
def remove(monkeypatch):
    """Takes out the check at the opening of a roster and the one at the release."""

    def both():
        monkeypatch.setattr(holder, "check_roster", lambda *_: None)
        monkeypatch.setattr(cohort, "check_release", lambda *_: None)

    return both


@both_ways
def test_pretended_drop(defended, remove):
    """The broker has everybody's vector, says that d dropped, and asks the rest again."""
    if not defended:
        remove()
    world = nodes("abcd")
    job = world.job()
    first, second = world.seal(job, "abcd", attempt=1), world.seal(job, "abc", attempt=2)
    world.release(first)
    world.release(second)
    read = subtract(first.opened(), second.opened())
    assert (read == VALUES["d"]) is not defended
    if defended:
        assert [error.code for error in second.refused.values()] == ["already_released"] * 3


@both_ways
@pytest.mark.parametrize("order", [("abc", "abcd"), ("abcd", "abc")])
def test_pretended_drop_with_releases_from_both_attempts(defended, remove, order):
    """Some nodes are asked for the first attempt, some for the second: then neither can be opened."""
    if not defended:
        remove()
    world = nodes("abcd")
    job = world.job()
    first, second = world.seal(job, "abcd", attempt=1), world.seal(job, "abc", attempt=2)
    world.release(first, only=order[0])
    world.release(second)
    world.release(first)
    read = subtract(first.opened(), second.opened())
    assert (read == VALUES["d"]) is not defended


@both_ways
def test_second_job_with_one_hospital_left_out(defended, remove):
    if not defended:
        remove()
    world = nodes("abcd")
    read = subtract(world.ask("abcd"), world.ask("abc"))
    assert (read == VALUES["d"]) is not defended


@both_ways
def test_second_job_with_another_question_and_one_hospital_left_out(defended, remove):
    """Near-equal questions: the cohort binds the asset, whatever is asked."""
    if not defended:
        remove()
    world = nodes("abcd")
    read = subtract(world.ask("abcd", "SELECT COUNT(*)"), world.ask("abc", "SELECT COUNT(*) WHERE 1 = 1"))
    assert (read == VALUES["d"]) is not defended


@both_ways
def test_four_rosters_of_which_no_two_look_alike(defended, remove):
    """No two of them differ by one node; a + b + c + d, a + e + f + g, b + c + e, d + f + g give twice a."""
    if not defended:
        remove()
    world = nodes("abcdefg")
    one, two, three, four = (world.ask(roster) for roster in ("abcd", "aefg", "bce", "dfg"))
    read = subtract(one, three, four)
    if read is not None and two is not None:
        read = [(value + other) // 2 for value, other in zip(read, two, strict=True)]
    assert (read == VALUES["a"]) is not defended


@both_ways
def test_two_first_jobs_at_once(defended, remove):
    """Both are sealed while no cohort exists: the statements are too old, the journal is not."""
    if not defended:
        remove()
    world = nodes("abcd")
    one, two = world.seal(world.job(), "abcd"), world.seal(world.job(), "abc")
    assert not one.refused | two.refused
    world.release(one)
    world.release(two)
    read = subtract(one.opened(), two.opened())
    assert (read == VALUES["d"]) is not defended


@pytest.mark.parametrize("first", ["", "a", "ab", "abc", "abcd"])
def test_two_first_jobs_whose_releases_interleave_open_at_most_one(first):
    world = nodes("abcd")
    one, two = world.seal(world.job(), "abcd"), world.seal(world.job(), "abc")
    world.release(one, only=first)
    world.release(two)
    world.release(one)
    assert one.opened() is None or two.opened() is None


@both_ways
def test_mixed_cohort_rules(defended, monkeypatch):
    """b, c and d keep no rule: they would help to open their own sum too, and the rest is a."""
    if not defended:
        monkeypatch.setattr(holder, "check_roster", lambda *_: None)
    world = nodes("abcd", b="free", c="free", d="free")
    read = subtract(world.ask("abcd"), world.ask("bcd"))
    assert (read == VALUES["a"]) is not defended


def test_mixed_cohort_rules_are_refused_by_name():
    world = nodes("abcd", c="free")
    asked = world.seal(world.job(), "abcd")
    assert {index: error.code for index, error in asked.refused.items()} == dict.fromkeys(
        (0, 1, 3), "cohort_rule_differs"
    )
    assert asked.refused[0].party == world.nodes[2].identity.party.name


@both_ways
def test_newcomer(defended, remove):
    """It would stand alone in the difference: it has no cohort, but reads the others' statements."""
    if not defended:
        remove()
    world = nodes("abcde")
    before = world.ask("abcd")
    read = subtract(world.ask("abcde"), before)
    assert (read == VALUES["e"]) is not defended


def test_newcomer_refuses_even_when_the_others_do_not_check(monkeypatch):
    world = nodes("abcde")
    assert world.ask("abcd")
    asked = world.seal(world.job(), "abcde")
    assert asked.refused[4].code == "cohort_differs"
    assert asked.refused[4].party in {node.identity.party.name for node in world.nodes[:4]}


@both_ways
def test_leaver(defended, remove):
    if not defended:
        remove()
    world = nodes("abcde")
    before = world.ask("abcde")
    read = subtract(before, world.ask("abcd"))
    assert (read == VALUES["e"]) is not defended


@both_ways
def test_same_question_keeps_that_question(defended, remove):
    if not defended:
        remove()
    world = nodes("abcd", **dict.fromkeys("abcd", "same-question"))
    read = subtract(world.ask("abcd"), world.ask("abc"))
    assert (read == VALUES["d"]) is not defended


def test_same_question_lets_a_near_equal_one_through():
    """The price of that rule, said in the threat model: it is not the default."""
    world = nodes("abcd", **dict.fromkeys("abcd", "same-question"))
    read = subtract(world.ask("abcd", "SELECT COUNT(*)"), world.ask("abc", "SELECT COUNT(*) WHERE 1 = 1"))
    assert read == VALUES["d"]


def test_free_lets_everything_through():
    world = nodes("abcd", **dict.fromkeys("abcd", "free"))
    assert subtract(world.ask("abcd"), world.ask("abc")) == VALUES["d"]


def test_one_cohort_may_ask_as_often_as_it_likes():
    world = nodes("abcd")
    assert world.ask("abcd") == world.ask("abcd") == world.ask("abcd", "another question")


def test_disjoint_rosters_do_not_bind_each_other():
    world = nodes("abcdefg")
    assert world.ask("abc")
    assert world.ask("defg")
