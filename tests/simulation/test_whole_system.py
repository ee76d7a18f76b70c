"""Broker, nodes and analysts, whole, in a storm that a seed draws: whatever breaks, what must hold holds.

`support.simulated` says what is simulated and how, `docs/decisions/0022-simulation.md` why. A seed that fails
prints its trace and the command that plays it again.
"""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import pytest
from support.simulated.data import QUESTIONS
from support.simulated.machines import Wish
from support.simulated.storm import Outcome, Wrong, calm, run
from support.simulated.world import Ground

from kapok.broker.computation import deadlines, gathering
from kapok.client.jobs import JobFolder
from kapok.nodes.journal import Journal, journal

ROOT = Path(__file__).parents[2]
QUICK = 40
STORMY = 7
"""A seed in which several things go wrong at once."""


@pytest.fixture(scope="session")
def ground():
    made = Ground()
    yield made
    made.clear()


@pytest.mark.parametrize("seed", range(QUICK))
def test_what_must_hold_holds(ground, seed):
    run(ground, seed).check()


@pytest.mark.slow
@pytest.mark.parametrize("first", [QUICK, *range(1000, 3000, 50)])
def test_what_must_hold_holds_swept(ground, first):
    for seed in range(first, first + 50):
        run(ground, seed).check()


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


# --- the simulation can fail: each of these breaks one thing that the product takes care of ---------------


def caught(ground, what, seeds=range(40)):
    """Whether some seed notices, and says so."""
    for seed in seeds:
        outcome: Outcome = run(ground, seed)
        if any(what in wrong for wrong in outcome.wrong):
            with pytest.raises(Wrong, match=f"make simulate SEEDS={seed}"):
                outcome.check()
            return True
    return False


def test_a_release_that_is_not_on_record_before_it_is_sent_is_caught(ground):
    with patch.object(Journal, "release", lambda _self, _record, token, **_more: token):
        assert caught(ground, "not in its journal")


def test_a_cohort_that_nobody_keeps_is_caught(ground):
    """Neither node nor broker looks at what was released before."""
    with (
        patch.object(journal, "check_release", lambda *_: None),
        patch("kapok.nodes.runner.attempts.check_roster", lambda *_: None),
        patch("kapok.protocols.secure_sum.holder.check_roster", lambda *_: None),
        patch.object(gathering, "out_of_date", lambda *_: ()),
        patch.object(gathering, "choose_roster", _whoever_is_there),
    ):
        assert caught(ground, "two cohorts")


def _whoever_is_there(job, answers, *, grace_over):
    from kapok.broker.computation import rosters

    known = [rosters.Answer(node=one.node, organisation=one.organisation) for one in answers]
    known = [
        one
        if answer.consent is None
        else rosters.Answer(
            node=one.node, organisation=one.organisation, consent=type(answer.consent)("free")
        )
        for one, answer in zip(known, answers, strict=True)
    ]
    return rosters.choose_roster(job, known, grace_over=grace_over)


async def one_is_away(world):
    """One node never comes; a question is asked of all."""
    for name in sorted(world.machines.keys() - {"d"}):
        world.machines[name].start()
    world.analysts[0].wishes = [Wish(at_s=2.0, sql=QUESTIONS[0], at_least=None, deadline_s=10)]
    await asyncio.sleep(30)


def test_a_job_that_waits_in_vain_ends_at_its_deadline(ground):
    outcome = run(ground, 0, story=one_is_away)
    outcome.check()
    assert outcome.reasons == {"deadline_passed": 1}


async def one_has_no_room(world):
    """A node's disk is full while a question is offered to it, and then is not."""
    for machine in world.machines.values():
        machine.start()
    world.loop.call_at(1.5, setattr, world.machines["b"], "full", True)
    world.loop.call_at(20.0, setattr, world.machines["b"], "full", False)
    world.analysts[0].wishes = [Wish(at_s=2.0, sql=QUESTIONS[0], at_least=None, deadline_s=120)]
    await asyncio.sleep(100)


def test_a_node_whose_disk_was_full_is_offered_the_question_again(ground):
    outcome = run(ground, 0, story=one_has_no_room)
    outcome.check()
    assert (outcome.answers, outcome.reasons) == (1, {})


def test_a_broker_without_a_clock_is_caught(ground):
    with patch.object(deadlines, "_run_out", lambda _step, _job: None):
        assert any("after its deadline" in wrong for wrong in run(ground, 0, story=one_is_away).wrong)


def test_a_question_that_is_sent_before_its_secrets_are_kept_is_caught(ground):
    keep = JobFolder.save

    def late(self, record):
        if record.outcome != "open" or record.turn is not None:
            keep(self, record)

    with patch.object(JobFolder, "save", late):
        assert caught(ground, "nobody has asked")
