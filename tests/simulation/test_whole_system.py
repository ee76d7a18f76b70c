"""Broker, nodes and analysts, whole, in a storm that a seed draws: whatever breaks, what must hold holds.

`support.simulated` says what is simulated and how, `docs/decisions/0022-simulation.md` why. A seed that fails
prints its trace and the command that plays it again.
"""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.simulated.data import QUESTIONS
from support.simulated.machines import Wish
from support.simulated.storm import calm, one_is_away, run

ROOT = Path(__file__).parents[2]
QUICK = 200
STORMY = 7
"""A seed in which several things go wrong at once."""


@pytest.mark.parametrize("seed", range(QUICK))
def test_what_must_hold_holds(ground, seed):
    run(ground, seed).check()


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 4000, 50))
def test_what_must_hold_holds_swept(ground, first):
    for seed in range(first, first + 50):
        run(ground, seed).check()
    assert run(ground, first).lines == run(ground, first).lines


@pytest.mark.parametrize("seed", range(4))
def test_where_nothing_goes_wrong_every_question_is_answered(ground, seed):
    outcome = run(ground, seed, story=calm)
    outcome.check()
    assert outcome.answers
    assert not outcome.reasons


def test_one_seed_gives_one_trace_in_every_process(ground):
    """Hashes of texts differ from process to process: an order that hangs on them would show."""
    here = run(ground, STORMY)
    assert run(ground, STORMY).lines == here.lines
    command = [sys.executable, str(ROOT / "tests/tools/simulate.py"), str(STORMY), "--trace"]
    there = subprocess.run(
        command, capture_output=True, text=True, check=True, env=os.environ | {"PYTHONHASHSEED": "1"}
    )
    assert there.stdout.splitlines()[: len(here.lines)] == here.lines


def test_the_storm_reaches_everything(ground):
    """A simulation in which nothing goes wrong, or nothing is ever answered, would be none."""
    told = ""
    answers = ends = 0
    for seed in range(12):
        outcome = run(ground, seed)
        told += "\n".join(outcome.lines)
        answers += outcome.answers
        ends += outcome.reasons.total()
    assert answers > 5
    assert ends > 2
    for trouble in ("is dead", "power cut", "is cut off", "disk is full", "SIGTERM", "clock is", "↻", "✗"):
        assert trouble in told, trouble


def test_a_job_that_waits_in_vain_ends_at_its_deadline(ground):
    outcome = run(ground, 0, story=one_is_away)
    outcome.check()
    assert outcome.reasons == {"deadline_passed": 1}


async def a_disk_is_set_back_twice(world):
    """The second time before its machine has started from the first."""
    for machine in world.machines.values():
        machine.start()
    broker = world.machines["broker"]
    for at_s, happens in ((2.0, broker.back_up), (5.0, broker.restore), (5.1, broker.restore)):
        world.loop.call_at(at_s, happens)
    await asyncio.sleep(10)


def test_a_disk_may_be_set_back_twice(ground):
    run(ground, 0, story=a_disk_is_set_back_twice).check()


async def one_has_no_room(world):
    """A node's disk is full while a question is offered to it, and then is not."""
    for machine in world.machines.values():
        machine.start()
    world.loop.call_at(1.5, world.machines["b"].fill)
    world.loop.call_at(20.0, setattr, world.machines["b"], "full", False)
    world.analysts[0].wishes = [Wish(at_s=2.0, sql=QUESTIONS[0], at_least=None, deadline_s=120)]
    await asyncio.sleep(100)


def test_a_node_whose_disk_was_full_is_offered_the_question_again(ground):
    outcome = run(ground, 0, story=one_has_no_room)
    outcome.check()
    assert (outcome.answers, outcome.reasons) == (1, {})
