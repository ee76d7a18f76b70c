"""What a seed does to a network: who asks what and when, and what breaks meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from support.simulated.data import QUESTIONS
from support.simulated.machines import Wish
from support.simulated.network import Weather
from support.simulated.world import LAST_S, STORM_S, Ground, World, Wrong

LONGEST_S: Final = 30
"""The longest deadline of a question."""
PATIENCE_S: Final = 45.0
"""So long after its deadline, or after the storm, a job has ended: who was cut off notices late."""

Story = Callable[[World], Awaitable[None]]

_BAD = (
    Weather(),
    Weather(slow=0.1, double=0.1),
    Weather(lose=0.02, double=0.1),
    Weather(slow=0.05, lose=0.05, double=0.2),
    Weather(slow=0.2, lose=0.1, double=0.3),
)


@dataclass
class Outcome:
    """A run that is over.

    Attributes:
        seed: What it was drawn from.
        lines: Its trace.
        digest: Of the trace.
        wrong: What did not hold.
        answers: How many jobs were answered.
        reasons: Why the others were not, and how often.
    """

    seed: int
    lines: list[str]
    digest: str
    wrong: list[str]
    answers: int
    reasons: Counter[str] = field(default_factory=Counter)

    def check(self) -> None:
        """Fail with everything that is needed to see why.

        Raises:
            Wrong: an invariant did not hold.
        """
        if self.wrong:
            told = "\n".join([*self.lines, "", *self.wrong])
            raise Wrong(f"{told}\n\nseed {self.seed}: make simulate SEEDS={self.seed}")


def run(ground: Ground, seed: int, story: Story | None = None) -> Outcome:
    """Everything that a seed stands for; the storm when no story is given."""
    source = random.Random(seed)
    world = World(ground, source)
    try:
        world.play(story or storm)
        fates = [fate for one in world.analysts for fate in one.fates.values()]
        return Outcome(
            seed,
            world.trace.lines,
            world.trace.digest,
            world.faults,
            sum(fate.result is not None for fate in fates),
            Counter(fate.code for fate in fates if fate.code),
        )
    finally:
        world.clear()


async def calm(world: World) -> None:
    """Nothing goes wrong."""
    for machine in world.machines.values():
        world.loop.call_later(world.source.uniform(0, 3), machine.start)
    for analyst in world.analysts:
        analyst.wishes = [replace(_wish(world.source), deadline_s=60, cancelled_after_s=None)]
    await _end(world)


async def one_is_away(world: World) -> None:
    """One node never comes; a question is asked of all."""
    for name, machine in world.machines.items():
        if name != "d":
            machine.start()
    world.analysts[0].wishes = [Wish(at_s=2.0, sql=QUESTIONS[0], at_least=None, deadline_s=10)]
    await asyncio.sleep(30)


async def storm(world: World) -> None:
    """Things go wrong for a while; then everything heals, and everything must come to its end."""
    source, loop = world.source, world.loop
    world.network.weather = source.choice(_BAD)
    world.trace.note("world", f"{world.network.weather}")
    for machine in world.machines.values():
        if source.random() < 0.2:
            machine.set_clock(source.uniform(-20.0, 20.0))
        loop.call_later(source.uniform(0, 3), machine.start)
    for analyst in world.analysts:
        analyst.wishes = [_wish(source) for _ in range(source.randint(0, 2))]
    if not any(analyst.wishes for analyst in world.analysts):
        world.analysts[0].wishes = [_wish(source)]
    for _ in range(source.choice([0, 1, 2, 4, 6])):
        _trouble(world)
    await asyncio.sleep(STORM_S)
    _heal(world)
    await _end(world)


async def _end(world: World) -> None:
    """In the end nobody waits any more, and nothing was asked that nobody wished for."""
    while world.loop.time() < LAST_S and not _settled(world):
        await asyncio.sleep(1)
    known: set[str] = set()
    for analyst in world.analysts:
        known |= analyst.fates.keys()
        for job_id, fate in analyst.fates.items():
            if not fate.settled:
                world.wrong(f"{world.trace.job(job_id)} of {analyst.name} never ends: {fate.errors[-3:]}")
            elif fate.settled_s > max(fate.since_s + LONGEST_S, STORM_S) + PATIENCE_S:
                job = world.trace.job(job_id)
                world.wrong(f"{job} of {analyst.name} ends only {fate.settled_s:.0f} s after the beginning")
        if len(analyst.fates) > len(analyst.asked):
            world.wrong(f"{analyst.name} has asked more than it wished")
    for job_id in world.checks.jobs.keys() - known:
        world.wrong(f"nobody has asked {world.trace.job(job_id)}, and the broker has it")


def _wish(source: random.Random) -> Wish:
    return Wish(
        at_s=source.uniform(0.5, 8.0),
        sql=source.choice(QUESTIONS),
        at_least=source.choice([None, None, 3]),
        deadline_s=source.choice([10, 20, LONGEST_S]),
        cancelled_after_s=source.uniform(0, 8) if source.random() < 0.1 else None,
    )


def _trouble(world: World) -> None:
    """One thing that goes wrong, at some time."""
    source, loop = world.source, world.loop
    machine = world.machines[source.choice(list(world.machines))]
    at = source.uniform(0.5, STORM_S - 2)
    machine.down_s = source.uniform(0.2, 10.0)
    match source.choice(["kill", "write", "write", "cut", "full", "sigterm", "clock", "rollback"]):
        case "kill":
            loop.call_at(at, machine.kill)
        case "write":
            machine.cut_at = (source.randint(1, 40), source.choice(["before", "after"]))
        case "cut":
            loop.call_at(at, _cut, world, machine.name, source.choice([0.5, 5.0, 20.0, 45.0]))
        case "full":
            loop.call_at(at, _fill, world, machine.name, source.uniform(1.0, 8.0))
        case "sigterm":
            loop.call_at(at, machine.terminate)
        case "clock":
            loop.call_at(at, machine.set_clock, source.uniform(-20.0, 20.0))
        case "rollback" if machine.name == "broker":
            loop.call_at(source.uniform(0.1, at), machine.back_up)
            loop.call_at(at, machine.restore)
        case "rollback" if machine.name in world.nodes and world.may_roll_back:
            world.may_roll_back = False
            loop.call_at(source.uniform(0.1, at), machine.back_up)
            loop.call_at(at, partial(machine.restore, but=source.choice(["", "instance"])))
        case _:
            pass


def _cut(world: World, name: str, for_s: float) -> None:
    """Cut a party off from the broker; or everybody, where it is the broker that is cut off."""
    world.trace.note(name, f"is cut off for {for_s} s")
    for other in (one for one in world.machines if one != "broker") if name == "broker" else (name,):
        world.network.partition(other)
        world.loop.call_later(for_s, world.network.heal, other)


def _fill(world: World, name: str, for_s: float) -> None:
    machine = world.machines[name]
    world.trace.note(name, f"disk is full for {for_s:.1f} s")
    machine.fill()

    def freed() -> None:
        machine.full = False

    world.loop.call_later(for_s, freed)


def _heal(world: World) -> None:
    world.trace.note("world", "heals")
    world.network.weather = Weather()
    for machine in world.machines.values():
        machine.full, machine.cut_at = False, None
        world.network.heal(machine.name)


def _settled(world: World) -> bool:
    return all(one.idle and not one.wishes for one in world.analysts)
