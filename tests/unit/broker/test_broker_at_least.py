"""Jobs that go on without some: who is waited for, and who is left behind."""

import pytest

from kapok.errors import CohortTooSmall, InvalidInput
from kapok.wire.messages import JobState


def hospitals(world):
    return list(world.nodes.values())


def test_with_at_least_the_others_go_on_without_one_who_refuses(world, ada):
    ash, *others = hospitals(world)
    asked = ada.ask(at_least=3)
    ash.refuses = {}
    world.run()
    status = ada.status(asked)
    assert status.state is JobState.SUMMED
    assert status.roster == tuple(str(node.name) for node in others)
    assert ada.open(asked) == world.truth(others)


def test_with_at_least_an_organisation_goes_with_all_its_nodes(world, ada):
    ash, *_ = hospitals(world)
    second = world.add("ash", "second")
    others = [node for node in hospitals(world) if node not in (ash, second)]
    asked = ada.ask(at_least=3)
    second.refuses = {}
    world.run()
    assert ada.status(asked).roster == tuple(str(node.name) for node in others)
    assert ada.open(asked) == world.truth(others)


def test_with_at_least_too_many_refusals_end_the_job(world, ada):
    ash, birch, *_ = hospitals(world)
    asked = ada.ask(at_least=3)
    ash.refuses = birch.refuses = {"remedy": "ask its officer"}
    world.run()
    error = ada.status(asked).error
    assert isinstance(error, CohortTooSmall)
    assert (error.code, error.remedy, error.party) == (
        "too_few_organisations",
        "ask its officer",
        None,
    )
    assert str(ash.name) in error.message
    assert str(birch.name) in error.message


def test_with_at_least_the_silent_are_left_out_only_after_the_grace(world, ada):
    ash, *others = hospitals(world)
    asked = ada.ask(at_least=3)
    world.run(others)
    world.clock.now += world.limits.consent_grace_s - 1
    world.jobs.tick()
    assert ada.status(asked).state is JobState.GATHERING
    world.clock.now += 1
    world.jobs.tick()
    assert ada.status(asked).roster == tuple(str(node.name) for node in others)
    assert ash.owed() == []
    world.run(others)
    assert ada.open(asked) == world.truth(others)


def test_with_at_least_and_too_few_the_grace_changes_nothing(world, ada):
    asked = ada.ask(at_least=3)
    world.run(hospitals(world)[:2])
    world.clock.now += 500
    world.jobs.tick()
    assert ada.status(asked).state is JobState.GATHERING


def test_with_at_least_one_that_does_not_seal_is_left_behind(world, ada):
    ash, *others = hospitals(world)
    asked = ada.ask(at_least=3)
    for node in hospitals(world):
        node.work()
    world.run(others)
    world.clock.now += world.limits.seal_grace_s
    world.jobs.tick()
    status = ada.status(asked)
    assert (status.state, status.attempt, status.roster) == (
        JobState.SEALING,
        2,
        tuple(str(node.name) for node in others),
    )
    assert world.reasons(asked) == [("left_behind", str(ash.name))]
    ash.consent(asked.id, asked.specification, ada.name)
    assert ada.status(asked).attempt == 2
    world.run(others)
    assert ada.open(asked) == world.truth(others)


def test_with_at_least_a_refusal_while_sealing_opens_an_attempt_without_it(world, ada):
    ash, *others = hospitals(world)
    asked = ada.ask(at_least=3)
    for node in hospitals(world):
        node.work()
    ash.refuse(asked.id)
    world.run(others)
    assert ada.status(asked).attempt == 2
    assert ada.open(asked) == world.truth(others)


def test_with_at_least_it_is_said_after_how_long_each_step_goes_on_without_the_silent(world, ada):
    asked = ada.ask(at_least=3)
    assert ada.status(asked).fewer_after_s == world.limits.consent_grace_s
    for node in hospitals(world):
        node.work()
    status = ada.status(asked)
    assert (status.state, status.fewer_after_s) == (JobState.SEALING, world.limits.seal_grace_s)
    assert not status.cohort_fixed
    for node in hospitals(world):
        node.work()
    world.jobs.fold_all()
    status = ada.status(asked)
    assert (status.state, status.fewer_after_s) == (JobState.RELEASING, 0)


def test_by_default_no_step_goes_on_without_the_silent(world, ada):
    asked = ada.ask()
    assert (ada.status(asked).fewer_after_s, ada.status(asked).cohort_fixed) == (0, False)


def test_who_is_waited_for_and_not_connected_is_said(world, ada):
    ash, birch, *others = hospitals(world)
    asked = ada.ask()
    for node in others:
        node.work()
    world.up.add(str(birch.name))
    status = ada.status(asked)
    assert status.waiting_for == (str(ash.name), str(birch.name))
    assert status.not_connected == (str(ash.name),)
    world.up.add(str(ash.name))
    assert ada.status(asked).not_connected == ()


def test_a_deadline_before_the_grace_would_make_at_least_void_and_is_refused(world, ada):
    grace_s = world.limits.consent_grace_s
    now = int(world.clock.now)
    with pytest.raises(InvalidInput) as caught:
        ada.ask(at_least=3, deadline=now + int(grace_s))
    error = caught.value
    assert (error.code, error.clause) == ("bad_deadline", "specification.deadline")
    assert "only after 30 s" in error.message
    assert "more than 30 seconds" in error.remedy
    assert ada.status(ada.ask(deadline=now + int(grace_s))).state is JobState.GATHERING
    assert ada.status(ada.ask(at_least=3, deadline=now + int(grace_s) + 1)).state is JobState.GATHERING


def test_by_default_nobody_is_left_behind(world, ada):
    asked = ada.ask()
    for node in hospitals(world):
        node.work()
    world.run(hospitals(world)[1:])
    world.clock.now += 599
    world.jobs.tick()
    assert (ada.status(asked).state, ada.status(asked).attempt) == (JobState.SEALING, 1)


def test_a_cohort_is_waited_for_though_at_least_would_do_with_fewer(world, ada):
    ash, *others = hospitals(world)
    first = ada.ask()
    world.run()
    assert ada.open(first) == world.truth()
    second = ada.ask(at_least=3)
    world.run(others)
    world.clock.now += 500
    world.jobs.tick()
    status = ada.status(second)
    assert status.waiting_for == (str(ash.name),)
    assert (status.fewer_after_s, status.cohort_fixed) == (0, True)
    world.run()
    assert ada.open(second) == world.truth()


def test_a_job_that_ends_waiting_for_its_cohort_says_that_at_least_does_not_help(world, ada):
    _ash, *others = hospitals(world)
    first = ada.ask()
    world.run()
    assert ada.open(first) == world.truth()
    second = ada.ask(at_least=3)
    world.run(others)
    world.clock.now += 600
    world.jobs.tick()
    error = ada.status(second).error
    assert error.code == "deadline_passed"
    assert "earlier answers to your organisation have fixed which nodes" in error.remedy
    assert "--at-least does not change that" in error.remedy


def test_a_job_that_ends_waiting_for_everybody_says_how_to_settle_for_fewer(world, ada):
    _ash, *others = hospitals(world)
    asked = ada.ask()
    world.run(others)
    world.clock.now += 600
    world.jobs.tick()
    assert "--at-least N goes on without the silent after 30 s" in ada.status(asked).error.remedy


def test_the_roster_is_the_cohort_even_if_another_would_join(world, ada):
    _ash, *others = hospitals(world)
    first = ada.ask(members=tuple(str(node.name) for node in others))
    world.run()
    assert ada.open(first) == world.truth(others)
    second = ada.ask(at_least=3)
    world.run()
    assert ada.status(second).roster == tuple(str(node.name) for node in others)
    assert ada.open(second) == world.truth(others)


def test_a_cohort_that_cannot_be_whole_ends_the_job(world, ada):
    ash, *_ = hospitals(world)
    ada.ask()
    world.run()
    second = ada.ask(at_least=3)
    ash.refuses = {}
    world.run()
    error = ada.status(second).error
    assert isinstance(error, CohortTooSmall)
    assert error.party is None  # it is nobody's own error: the message names who refused
    assert "ash" in error.message
