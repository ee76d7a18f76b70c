"""The simulation can fail: each breakage of `support.simulated.mutations` is noticed by its invariant."""

import asyncio
from functools import partial

import pytest
from support.simulated.data import QUESTIONS
from support.simulated.machines import Wish
from support.simulated.mutations import MUTATIONS
from support.simulated.network import Weather
from support.simulated.storm import Wrong, one_is_away, run


def noticed(mutation, outcome):
    """Whether the invariant that should notice has; then the seed is said."""
    if not any(mutation.caught in wrong for wrong in outcome.wrong):
        return False
    with pytest.raises(Wrong, match=f"make simulate SEEDS={outcome.seed}"):
        outcome.check()
    return True


async def the_broker_dies_while_it_takes_vectors(world):
    """A node has sent its own already, and is asked for the same attempt again."""
    for machine in world.machines.values():
        machine.start()
    world.analysts[0].wishes = [Wish(at_s=2.0, sql=QUESTIONS[0], at_least=None, deadline_s=60)]
    while not world.checks.sealed:
        await asyncio.sleep(0.001)
    world.machines["broker"].kill()
    await asyncio.sleep(50)


async def everything_is_heard_twice(world):
    """Much of it when the job has long ended."""
    world.network.weather = Weather(double=1.0)
    for machine in world.machines.values():
        machine.start()
    world.analysts[0].wishes = [Wish(at_s=2.0, sql=QUESTIONS[0], at_least=None, deadline_s=60)]
    await asyncio.sleep(40)


def test_what_is_heard_twice_is_done_once(ground):
    outcome = run(ground, 0, story=everything_is_heard_twice)
    outcome.check()
    assert outcome.answers == 1


def test_a_node_that_is_asked_again_for_a_vector_sends_the_same(ground):
    outcome = run(ground, 0, story=the_broker_dies_while_it_takes_vectors)
    outcome.check()
    assert outcome.answers == 1


async def a_journal_is_set_back(world):
    """A node's disk is restored from a copy, but for the mirror; then it is asked again."""
    for machine in world.machines.values():
        machine.start()
    node = world.machines["b"]
    for at_s, happens in ((1.5, node.back_up), (8.0, partial(node.restore, but="instance"))):
        world.loop.call_at(at_s, happens)
    world.analysts[0].wishes = [
        Wish(at_s=at_s, sql=QUESTIONS[0], at_least=None, deadline_s=30) for at_s in (2.0, 3.0, 4.0, 12.0)
    ]
    await asyncio.sleep(60)


def test_nobody_goes_on_with_a_journal_that_was_set_back(ground):
    outcome = run(ground, 0, story=a_journal_is_set_back)
    outcome.check()
    assert "b             ends: journal_restored" in "\n".join(outcome.lines)


STORIES = {
    "set-back": a_journal_is_set_back,
    "no-deadline": one_is_away,
    "sealed-anew": the_broker_dies_while_it_takes_vectors,
    "ended-goes-on": everything_is_heard_twice,
}
"""Of what the storm shows in few seeds only."""


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_breakage_is_noticed(ground, name):
    story = STORIES.get(name)
    with MUTATIONS[name].made():
        assert any(noticed(MUTATIONS[name], run(ground, seed, story)) for seed in range(1 if story else 40))
