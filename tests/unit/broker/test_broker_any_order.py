"""Whatever the order of events, whoever is killed in between: the sum is right, and nobody releases twice."""

import contextlib
import random

import pytest

from kapok.errors import ProtocolError
from kapok.wire.messages import JobState

STEPS = 400


class Chance:
    """Drives a world by chance: messages late, doubled or lost, nodes and broker killed."""

    def __init__(self, world, seed):
        self.world = world
        self.random = random.Random(seed)
        self.late = []

    def step(self, *, kills: bool) -> None:
        node = self.random.choice(list(self.world.nodes.values()))
        match self.random.choices(["work", "keep", "late", "node", "broker", "fold"], (12, 4, 4, 1, 1, 2))[0]:
            case "work":
                self.handle(node, node.owed())
            case "keep":
                self.late += [(node, assignment) for assignment in node.owed()]
            case "late" if self.late:
                node, assignment = self.random.choice(self.late)
                self.handle(node, [assignment])
            case "node" if kills:
                node.restart()
            case "broker" if kills:
                self.world.restart()
            case "fold":
                self.world.jobs.fold_all()

    def handle(self, node, assignments) -> None:
        for assignment in self.random.sample(assignments, len(assignments)):
            # Late words about attempts that are gone are refused by one side or the other.
            with contextlib.suppress(ProtocolError, KeyError):
                node.handle(assignment)


def owed(world):
    return {name: world.jobs.owed(name).keys() for name in world.nodes}


@pytest.mark.parametrize("seed", range(2))
def test_whoever_owes_something_new_is_woken(make_world, seed):
    world = make_world("ash", "birch", "cedar")
    chance = Chance(world, seed)
    before = owed(world)
    for step in range(STEPS // 2):
        world.announced.clear()
        if step % 50 == 0:
            world.publisher.ask()
        chance.step(kills=step < STEPS // 4)
        woken = {name for nodes, _ in world.announced for name in nodes}
        now = owed(world)
        assert {name for name in world.nodes if now[name] - before[name]} <= woken
        before = now


@pytest.mark.parametrize("seed", range(4))
def test_jobs_end_with_the_right_sum_and_one_release_each(make_world, seed):
    world = make_world("ash", "birch", "cedar")
    chance = Chance(world, seed)
    jobs = [world.publisher.ask() for _ in range(2)]
    for step in range(STEPS):
        chance.step(kills=step < STEPS // 2)
        if all(world.publisher.status(asked).state is JobState.SUMMED for asked in jobs):
            break
    world.run()
    for asked in jobs:
        assert world.publisher.open(asked) == world.truth()
        events = world.history(asked)
        assert events.count("summing") == events.count("completion") == 1
        assert events.count("opening") == events.count("voiding") + 1
        for node in world.nodes.values():
            released = [past for _, past in node.released if past.job_id.hex() == asked.id]
            assert len({past.attempt for past in released}) == 1
