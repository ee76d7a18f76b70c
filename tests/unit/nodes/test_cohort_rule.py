"""One cohort for each table and analyst's organisation: what the runner and its journal make of it."""

import pytest

from kapok.nodes.journal import Decision
from kapok.nodes.policy import Policy
from kapok.nodes.runner import Consent, Release
from kapok.protocols.secure_sum.cohort import CohortStatement
from kapok.protocols.secure_sum.messages import CONSENT_TYP, ConsentStatement, read

COUNT = "SELECT COUNT(*) FROM clinic"
SUM = "SELECT SUM(age) FROM clinic"


def stated(world, token) -> CohortStatement:
    return read(ConsentStatement, CONSENT_TYP, token, world.verifier)[0].cohort


def names(world, letters):
    return tuple(sorted(world.nodes[letter].name for letter in letters))


def with_rules(world, make_rule, **changes):
    for node in world.nodes.values():
        node.policy = Policy((make_rule(**changes),))
        node.start()


def test_the_first_release_fixes_the_cohort_for_every_later_question(world):
    assert stated(world, world.job(COUNT).consent()[0]) == CohortStatement("fixed")
    world.job(COUNT).run()
    later = world.job(SUM, by="two")
    for token in later.consent():
        assert stated(world, token) == CohortStatement.of("fixed", [names(world, "abcd")])
    later.run()


def test_a_job_without_one_of_the_cohort_is_refused_before_anything_is_computed(world):
    world.job(COUNT).run()
    smaller = world.job(SUM, names="abc")
    for node in smaller.nodes:
        refusal = world.refusal(smaller.offer(node))
        assert (refusal.kind, refusal.code) == ("CohortTooSmall", "cohort_differs")
        assert refusal.remedy.endswith(": `kapok query --party a --party b --party c --party d`")


def test_a_pretended_drop_is_refused_when_the_attempt_opens(world):
    world.job(COUNT).run()
    job = world.job(SUM, at_least=3)
    consents = job.consent()
    for node in job.nodes[:3]:
        assert world.refusal(job.open(node, consents[:3])).code == "cohort_differs"


def test_a_newcomer_does_not_change_the_cohort(world):
    world.job(COUNT, names="abc").run()
    job = world.job(COUNT)
    consents = job.consent()
    for node in job.nodes[:3]:
        refusal = world.refusal(job.open(node, consents))
        assert refusal.code == "cohort_differs"
        assert refusal.remedy.startswith("ask exactly those: `kapok query --party a --party b --party c`; ")
    assert world.refusal(job.open(job.nodes[3], consents)).code == "cohort_differs"


def test_before_the_first_release_survivors_go_on(world):
    job = world.job(COUNT, at_least=3)
    consents = job.consent()
    job.seal(consents)
    rest = job.nodes[:3]
    seals = job.seal(consents[:3], rest, attempt=2)
    opened = job.unseal(consents[:3], seals, job.release(seals, rest, attempt=2), attempt=2)
    assert job.answer(opened).rows == ((90,),)
    assert opened.cohort == names(world, "abc")


def test_of_two_first_jobs_at_once_only_one_cohort_is_ever_released(world):
    large, small = world.job(COUNT), world.job(COUNT, names="abc", by="two")
    consents = [large.consent(), small.consent()]
    seals = [large.seal(consents[0]), small.seal(consents[1])]
    assert isinstance(large.complete(world.nodes["a"], seals[0])[0], Release)
    assert world.refusal(small.complete(world.nodes["a"], seals[1])).code == "cohort_differs"
    # Another node may have released the other one first: then neither sum ever opens.
    assert isinstance(small.complete(world.nodes["b"], seals[1])[0], Release)
    assert world.refusal(large.complete(world.nodes["b"], seals[0])).code == "cohort_differs"


def test_consents_from_before_the_first_release_do_not_open_another_cohort(world):
    small, large = world.job(SUM, names="abc", by="two"), world.job(COUNT)
    before = small.consent()
    large.run()
    for node in small.nodes:
        assert world.refusal(small.open(node, before)).code == "cohort_differs"
        assert node.journal.sealed(small.id, 1, 1) is None


def test_a_cohort_outlives_restarts_and_other_names_of_analysts(world):
    world.job(COUNT).run()
    for node in world.nodes.values():
        node.start()
    assert (
        world.refusal(world.job(COUNT, names="abc", by="other").offer(world.nodes["a"])).code
        == "cohort_differs"
    )


def test_another_organisation_has_its_own_cohort(world, make_rule):
    with_rules(world, make_rule, analysts=(f"spiffe://{'kapok.test'}/org/*/analyst/*",))
    world.job(COUNT).run()
    other = world.job(COUNT, names="abc", organisation="institute")
    assert other.answer(other.run()).rows == ((90,),)


def test_a_later_policy_cannot_loosen_the_rule(world, make_rule):
    world.job(COUNT).run()
    with_rules(world, make_rule, cohort="free")
    assert world.refusal(world.job(COUNT, names="abc").offer(world.nodes["a"])).code == "cohort_differs"
    [answer] = world.job(COUNT).offer(world.nodes["a"])
    assert stated(world, answer.token).rule == "fixed"


def test_a_fixed_node_refuses_a_roster_with_a_free_one(world, make_rule):
    world.nodes["d"].policy = Policy((make_rule(cohort="free"),))
    world.nodes["d"].start()
    job = world.job(COUNT)
    consents = job.consent()
    refusal = world.refusal(job.open(world.nodes["a"], consents))
    assert refusal.code == "cohort_rule_differs"
    assert world.nodes["d"].name in refusal.message


def test_same_question_lets_another_question_through_but_not_the_same(world, make_rule):
    with_rules(world, make_rule, cohort="same-question")
    world.job(COUNT).run()
    other = world.job(SUM, names="abc")
    other.run()
    same = world.job("select  count(*)  from clinic", names="abc")
    consents = same.consent()
    assert stated(world, consents[0]) == CohortStatement.of("same-question", [names(world, "abcd")])
    assert world.refusal(same.open(world.nodes["a"], consents)).code == "cohort_differs"


def test_other_names_in_the_answer_are_no_other_question(world, make_rule):
    with_rules(world, make_rule, cohort="same-question")
    world.job("SELECT sex, COUNT(*) AS x, SUM(age) FROM clinic WHERE age > 1 AND sex = 1 GROUP BY sex").run()
    same = world.job(
        "SELECT AVG(age) AS y, COUNT(*) FROM clinic WHERE sex = 1 AND age > 1 GROUP BY sex", names="abc"
    )
    assert world.refusal(same.open(world.nodes["a"], same.consent())).code == "cohort_differs"


def test_a_release_is_as_strict_as_the_consent_was(world, make_rule):
    job, node = world.job(COUNT), world.nodes["a"]
    seals = job.seal(job.consent())
    node.policy = Policy((make_rule(cohort="free"),))
    node.start()
    # What was sealed under another policy is not released at all; nor would the journal loosen the rule.
    assert world.refusal(job.complete(node, seals)).code == "policy_changed"
    node = world.nodes["b"]
    sealed = node.journal.sealed(job.id, 1, 1)
    free = Decision(make_rule(cohort="free"), 1, sealed.in_force)
    node.journal.release(sealed.record, "token", decision=free, question=b"q")
    scope = node.journal.scope("clinic", job.caller.name.organisation_id)
    assert scope.fixed_with == "fixed"


@pytest.mark.parametrize("code", ["too_few_parties", "party_required"])
def test_a_release_is_as_strict_as_the_policy_has_become(world, make_rule, code):
    job, node = world.job(COUNT, at_least=3), world.nodes["a"]
    rest = job.nodes[:3]
    seals = job.seal(job.consent()[:3], rest)
    absent = world.nodes["d"].name
    changes = {"min_parties": 4} if code == "too_few_parties" else {"required_members": {absent: ""}}
    node.policy = Policy((make_rule(**changes),))
    node.start()
    assert world.refusal(job.complete(node, seals)).code == code


def test_free_releases_to_anybody_and_says_so(world, make_rule):
    with_rules(world, make_rule, cohort="free")
    world.job(COUNT).run()
    job = world.job(COUNT, names="abc")
    assert stated(world, job.consent()[0]).rule == "free"
    assert job.answer(job.run()).rows == ((90,),)


def test_a_repeated_offer_states_what_the_scope_has_become(world):
    waiting, first = world.job(SUM), world.job(COUNT)
    before = waiting.consent()
    first.run()
    after = waiting.consent()
    assert not set(before) & set(after)
    assert all(stated(world, token).cohorts == (names(world, "abcd"),) for token in after)
    seals = waiting.seal(after)
    # Once it has released itself, an offer that comes late changes nothing.
    waiting.release(seals)
    assert waiting.consent() == after
    assert isinstance(waiting.offer(world.nodes["a"])[0], Consent)


@pytest.mark.parametrize("cohort", ["fixed", "free"])
def test_a_renamed_dataset_keeps_the_tables_cohort(world, make_rule, cohort):
    world.job(COUNT).run()
    node = world.nodes["a"]
    scope = node.journal.scope("clinic", "spiffe://kapok.test/org/university", b"")
    assert scope.statement(cohort) == CohortStatement.of("fixed", [names(world, "abcd")])
    assert node.journal.scope("other", "spiffe://kapok.test/org/university").releases == ()
