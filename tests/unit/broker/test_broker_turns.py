"""Whose turn it is while no cohort is fixed, and statements that have grown old."""

import pytest
from support.postgres import ON_POSTGRESQL

from kapok.errors import CohortTooSmall
from kapok.wire.messages import Completion, JobState, Offer, OpenAttempt

pytestmark = pytest.mark.parametrize("place", ["sqlite", ON_POSTGRESQL], indirect=True)


def hospitals(world):
    return list(world.nodes.values())


def offers(node):
    return [one for one in node.owed() if isinstance(one, Offer)]


def test_two_first_jobs_at_once_run_one_after_the_other(world, ada):
    first, second = ada.ask(), ada.ask()
    for node in hospitals(world):
        node.work()
    assert ada.status(first).state is JobState.SEALING
    assert ada.status(second).state is JobState.GATHERING
    assert ada.status(second).waiting_for == ()
    assert not any(offers(node) for node in hospitals(world))
    for _ in range(2):
        for node in hospitals(world):
            node.work()
        world.jobs.fold_all()
    assert ada.status(first).state is JobState.SUMMED
    assert all(len(offers(node)) == 1 for node in hospitals(world))
    world.run()
    assert ada.open(first) == ada.open(second) == world.truth()


def test_two_first_jobs_over_different_rosters_do_not_both_release(world, ada):
    first = ada.ask()
    second = ada.ask(members=tuple(world.nodes)[1:])
    world.run()
    assert ada.open(first) == world.truth()
    error = ada.status(second).error
    assert isinstance(error, CohortTooSmall)
    assert error.code == "cohort_differs"


def test_the_scope_is_free_again_when_the_first_job_fails(world, ada):
    first, second = ada.ask(), ada.ask()
    for node in hospitals(world):
        node.work()
    hospitals(world)[0].refuse(first.id)
    assert ada.status(second).state is JobState.SEALING
    world.run()
    assert ada.open(second) == world.truth()


def test_after_an_abandoned_attempt_the_others_are_asked_again(world, ada):
    ash, _birch, *_ = nodes = hospitals(world)
    first, second = ada.ask(), ada.ask()
    for _ in range(2):
        for node in nodes:
            node.work()
    ash.work()
    world.jobs.cancel(ada.name, first.id)
    assert all(len(offers(node)) == 1 for node in nodes)
    world.run()
    assert ada.open(second) == world.truth()
    with world.store.snapshot() as tx:
        assert {row.cohorts for row in tx.jobs.consents(second.id).values()} >= {"[]"}
        assert tx.jobs.consents(second.id)[str(ash.name)].cohorts != "[]"


def test_nodes_that_have_all_forgotten_their_release_are_not_brought_together_for_another(world, ada):
    """Their journals were rolled back with the mirrors: none notices, and the broker holds the proof."""
    first = ada.ask()
    world.run()
    assert ada.open(first) == world.truth()
    nodes = hospitals(world)
    for node in nodes:
        node.released.clear()
    fewer = ada.ask(members=tuple(str(node.name) for node in nodes[1:]))
    world.run()
    error = ada.status(fewer).error
    assert (error.code, error.party) == ("release_forgotten", str(nodes[1].name))
    assert not any(node.released for node in nodes)
    again = ada.ask()
    world.run()
    assert ada.open(again) == world.truth()


def test_other_organisations_and_fixed_scopes_do_not_wait(world, ada, another):
    bob = another("elsewhere", "bob")
    first, elsewhere = ada.ask(), bob.ask()
    for node in hospitals(world):
        node.work()
    assert ada.status(first).state is bob.status(elsewhere).state is JobState.SEALING
    world.run()
    third, fourth = ada.ask(), ada.ask()
    for node in hospitals(world):
        node.work()
    assert ada.status(third).state is ada.status(fourth).state is JobState.SEALING
    world.run()
    assert ada.open(third) == ada.open(fourth) == world.truth()


def test_nodes_with_the_rule_free_never_wait(world, ada):
    for node in hospitals(world):
        node.rule = "free"
    first, second = ada.ask(), ada.ask()
    for node in hospitals(world):
        node.work()
    assert ada.status(first).state is ada.status(second).state is JobState.SEALING


def test_under_same_question_other_questions_do_not_wait(world, ada):
    for node in hospitals(world):
        node.rule = "same-question"
    first, same = ada.ask(), ada.ask()
    other = ada.ask(question="SELECT SUM(age) FROM heart")
    for node in hospitals(world):
        node.work()
    assert [ada.status(one).state for one in (first, same, other)] == [
        JobState.SEALING,
        JobState.GATHERING,
        JobState.SEALING,
    ]


def test_statements_that_make_the_roster_impossible_are_asked_for_once_more(world, ada):
    """A node whose statement is old hides a cohort that is fixed: it is asked again, and only once."""
    ash, birch, *others = nodes = hospitals(world)
    asked = ada.ask()
    ash.work()
    cohort = tuple(str(node.name) for node in nodes[:3])
    birch.released = [(ada.name.organisation_id, _past(cohort))]
    for node in (birch, *others):
        node.work()
    assert ada.status(asked).state is JobState.GATHERING
    assert [len(offers(node)) for node in nodes] == [1, 0, 1, 1]
    world.run()
    error = ada.status(asked).error
    assert error.code == "cohort_differs"
    assert world.history(asked) == ["opening", "failure"]


def _past(names):
    from kapok.protocols.secure_sum.cohort import PastRelease

    return PastRelease(
        job_id=b"\x01" * 32,
        round=1,
        attempt=1,
        roster_hash=b"\x02" * 32,
        names=names,
        params_hash=b"\x03" * 32,
    )


def test_a_stale_consent_that_comes_again_counts_again(world, ada):
    ash, *_ = nodes = hospitals(world)
    first, second = ada.ask(), ada.ask()
    for node in nodes:
        node.work()
    token = ash.holders[second.id].consent()
    for _ in range(2):
        for node in nodes:
            node.work((OpenAttempt, Completion))
        world.jobs.fold_all()
    assert ada.status(first).state is JobState.SUMMED
    world.jobs.consent(ash.name, second.id, token)
    assert not offers(ash)
    world.run()
    assert ada.open(second) == world.truth()
