"""Trainings: each exchange has the roster that there is, where the nodes' rules let it; else it waits."""

import contextlib
import random

import pytest

from kapok.broker.settings import Limits
from kapok.errors import PeerProtocolError, ProtocolError
from kapok.wire.messages import JobState, Offer, OpenAttempt

GRACE_S = 5.0


@pytest.fixture
def town(make_world):
    """Five hospitals, whom the broker sees come and go."""

    def make(rule="same-question"):
        world = make_world(
            "ash", "birch", "cedar", "dogwood", "elm", limits=Limits(consent_grace_s=5, seal_grace_s=GRACE_S)
        )
        world.up.update(world.nodes)
        for node in world.nodes.values():
            node.rule = rule
        return world, world.publisher, list(world.nodes.values())

    return make


def begun(world, ada, rounds=3, **changes):
    """A training whose first instruction is on its way to the nodes."""
    asked = ada.ask(rounds=rounds, steered=True, **({"at_least": 3} | changes))
    world.run()
    ada.steer(asked, 1)
    return asked


def leave(world, node):
    world.up.discard(str(node.name))
    node.restart()


def passes(world, seconds=GRACE_S):
    """Time in which the broker looks now and then."""
    world.jobs.tick()
    world.clock.now += seconds
    world.jobs.tick()


def times(world, nodes, factor):
    return [factor * word for word in world.truth(nodes)]


def test_a_round_goes_on_without_a_node_that_stays_away_and_the_next_one_with_it(town):
    world, ada, (ash, *others) = town()
    asked = begun(world, ada)
    world.run()
    assert ada.open(asked) == times(world, [ash, *others], 1)
    ada.steer(asked, 2)
    leave(world, ash)
    world.run(others)
    passes(world, GRACE_S - 1)
    assert ada.status(asked).waiting_for == (str(ash.name),)
    assert ada.status(asked).fewer_after_s == GRACE_S
    passes(world, 1)
    assert (ada.status(asked).state, ada.status(asked).attempt) == (JobState.STEERING, 2)
    ada.steer(asked, 2)
    world.run(others)
    assert ada.open(asked) == times(world, others, 2)
    world.up.add(str(ash.name))
    assert ash.owed() == []
    ada.steer(asked, 3)
    world.run()
    assert ada.open(asked) == times(world, others, 3)


def test_who_comes_back_while_a_round_goes_on_is_in_the_next(town):
    world, ada, (ash, *others) = town()
    asked = begun(world, ada, rounds=4)
    world.run()
    ada.steer(asked, 2)
    leave(world, ash)
    world.run(others)
    passes(world)
    ada.steer(asked, 2)
    world.up.add(str(ash.name))
    assert [type(one) for one in ash.owed()] == [Offer]
    world.run()
    assert ada.open(asked) == times(world, others, 2)
    overtaken = ada.parameters(asked, 3)
    with pytest.raises(PeerProtocolError) as caught:
        world.jobs.steer(ada.name, asked.id, overtaken)
    assert caught.value.code == "wrong_round"
    assert world.stored_chunks() == (0, 0)
    ada.steer(asked, 3)
    world.run()
    assert ada.open(asked) == times(world, [ash, *others], 3)
    assert (ada.status(asked).round, ada.status(asked).attempt) == (3, 1)


def test_who_is_connected_is_waited_for_however_long_its_app_takes(town):
    world, ada, (ash, *others) = town()
    asked = begun(world, ada)
    world.run(others)
    passes(world, 400)
    assert ada.status(asked).state is JobState.SEALING
    world.run()
    assert ada.open(asked) == times(world, [ash, *others], 1)


def test_under_a_fixed_cohort_the_round_waits(town):
    world, ada, (ash, *others) = town("fixed")
    asked = begun(world, ada)
    world.run()
    ada.steer(asked, 2)
    leave(world, ash)
    world.run(others)
    passes(world, 400)
    status = ada.status(asked)
    assert (status.state, status.waiting_for, status.fewer_after_s) == (
        JobState.SEALING,
        (str(ash.name),),
        0,
    )
    world.up.add(str(ash.name))
    world.run()
    ada.steer(asked, 2)
    world.run()
    assert ada.open(asked) == times(world, [ash, *others], 2)


def test_a_training_that_needs_everyone_waits_whatever_the_rule(town):
    world, ada, (ash, *others) = town()
    asked = begun(world, ada, at_least=5)
    world.run()
    ada.steer(asked, 2)
    leave(world, ash)
    world.run(others)
    passes(world, 400)
    assert ada.status(asked).state is JobState.SEALING


def test_a_round_that_somebody_may_have_released_waits_for_the_rest(town):
    world, ada, (ash, *others) = town()
    asked = begun(world, ada)
    while any(node.work(OpenAttempt) for node in world.nodes.values()):
        pass
    leave(world, ash)
    world.run(others)
    passes(world, 400)
    assert (ada.status(asked).state, ada.status(asked).waiting_for) == (
        JobState.RELEASING,
        (str(ash.name),),
    )
    world.up.add(str(ash.name))
    world.run()
    assert ada.open(asked) == times(world, [ash, *others], 1)


def test_a_round_goes_on_without_whoever_refuses_it_and_ends_with_too_few(town):
    world, ada, (ash, birch, cedar, *others) = town()
    asked = begun(world, ada, rounds=4)
    world.run()
    ada.steer(asked, 2)
    ash.refuse(asked.id)
    assert (ada.status(asked).state, ada.status(asked).attempt) == (JobState.STEERING, 2)
    birch.refuse(asked.id)
    ada.steer(asked, 2)
    world.run()
    assert ada.open(asked) == times(world, [cedar, *others], 2)
    ada.steer(asked, 3)
    cedar.refuse(asked.id)
    status = ada.status(asked)
    assert (status.state, status.error.code) == (JobState.FAILED, "too_few_organisations")


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 8))])
def test_whoever_leaves_and_comes_back_each_sum_is_of_its_roster(town, seed):
    world, ada, nodes = town()
    asked, chance, opened = ada.ask(rounds=6, steered=True, at_least=3), random.Random(seed), {}
    for step in range(2000):
        node = chance.choice(nodes)
        match chance.choices(["work", "leave", "clock", "broker", "analyst", "fold"], (20, 2, 4, 1, 4, 3))[0]:
            case "work":
                world.up.add(str(node.name))
                with contextlib.suppress(ProtocolError, KeyError):
                    node.work()
            case "leave" if step < 1500 and len(world.up) > 3:
                leave(world, node)
            case "clock":
                world.clock.now += 2
                world.jobs.tick()
            case "broker":
                world.restart()
            case "fold":
                world.jobs.fold_all()
            case "analyst" if ada.status(asked).state is JobState.STEERING:
                evidence, _ = world.jobs.evidence(ada.name, asked.id)
                if evidence.releases:
                    opened[evidence.round] = (ada.status(asked).roster, ada.open(asked))
                with contextlib.suppress(PeerProtocolError):
                    ada.steer(asked, evidence.round + bool(evidence.releases))
        if ada.status(asked).state is JobState.SUMMED:
            break
    opened[6] = (ada.status(asked).roster, ada.open(asked))
    assert list(opened) == [1, 2, 3, 4, 5, 6]
    for number, (roster, found) in opened.items():
        assert found == times(world, [world.nodes[name] for name in roster], number)
        for name in roster:
            assert sum(past.round == number for _, past in world.nodes[name].released) == 1
