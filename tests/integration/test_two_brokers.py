"""Two broker processes on one PostgreSQL, nodes and an analyst between them; either is killed, or hangs."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest
from support.daemons import logging_restored
from support.hospitals import dataset, make_realm
from support.postgres import emptied
from support.two_brokers import QUESTION, Pair, reached

__all__ = ["dataset", "logging_restored", "make_realm"]


@pytest.fixture
async def pair(tmp_path, make_realm, dataset, postgres, logging_restored):
    network = Pair(tmp_path, make_realm(time.time()), dataset, emptied(postgres))
    try:
        await network.open()
        yield network
    finally:
        await network.close()


@pytest.mark.parametrize("victim", [0, 1])
async def test_either_broker_may_die_in_mid_round_and_the_answer_is_right(pair, postgres, victim):
    """One is killed while a job gathers, seals or releases; its analyst and some nodes hold lines to it."""
    seen = []
    for number, state in enumerate(("gathering", "sealing", "releasing")):
        async with pair.session(first=victim) as session:
            asking = asyncio.create_task(session.query(QUESTION, deadline_s=120))
            seen.append(await reached(postgres, number, state))
            pair.kill(victim)
            async with asyncio.timeout(90):
                result = await asking
        assert result.rows == [(90, 40.0)], result
        assert len(result.parties) == 3
        await pair.revive(victim)
        await pair.both_know(3)
    assert not {"summed", "finished"}.issuperset(seen)


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
async def test_a_broker_that_hangs_is_left_and_does_no_harm_when_it_goes_on(pair, postgres, victim):
    """Its connections stand, its turn at writing may be its own, and nobody hears anything of it."""
    for number, state in enumerate(("gathering", "sealing")):
        async with pair.session(first=victim) as session:
            asking = asyncio.create_task(session.query(QUESTION, deadline_s=170))
            await reached(postgres, number, state)
            os.kill(pair.brokers[victim].pid, signal.SIGSTOP)
            try:
                async with asyncio.timeout(180):
                    result = await asking
            finally:
                os.kill(pair.brokers[victim].pid, signal.SIGCONT)
        assert result.rows == [(90, 40.0)], result
        await pair.both_know(3)
