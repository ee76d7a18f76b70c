"""PostgreSQL under two brokers is away for a while, or its connections break: jobs wait, and it is said."""

from __future__ import annotations

import asyncio
import random
import time

import pytest
from support.daemons import logging_restored
from support.hospitals import dataset, make_realm
from support.postgres import emptied, started
from support.proxy import proxied
from support.two_brokers import QUESTION, Pair, reached

from kapok.demo.processes import call
from kapok.wire.channel import connect

__all__ = ["dataset", "logging_restored", "make_realm"]

ANSWER = [(90, 40.0)]
FOREIGN = ("incident", "defect", "store failed")
"""What a broker's log has of errors that it did not expect."""


@pytest.fixture
def server():
    """One of its own: it is stopped and started."""
    with started() as server:
        yield server


async def opened(folder, make_realm, dataset, place):
    pair = Pair(folder, make_realm(time.time()), dataset, place)
    await pair.open()
    return pair


async def well(pair, *, until):
    """Wait until each broker says that it is well, or that it is not."""
    async with asyncio.timeout(60):
        for address in pair.addresses:
            async with await connect(pair.analyst, address) as line:
                while (await line.health.check())[0] is not until:
                    await asyncio.sleep(0.05)


def problems(home):
    """What `kapok doctor` has to say against a folder: about what, in which words."""
    found = call(["doctor", "--json"], home).document()["findings"]
    return {one["subject"]: one["text"] for one in found if one["grade"] == "problem"}


def said(pair):
    return [entry["message"] for broker in pair.brokers for entry in broker.log_entries()]


@pytest.mark.parametrize(
    ("state", "end"),
    [
        ("sealing", "crash"),
        pytest.param("gathering", "stop", marks=pytest.mark.slow),
        pytest.param("releasing", "crash", marks=pytest.mark.slow),
    ],
)
async def test_a_job_waits_while_postgresql_is_away_and_goes_on_when_it_is_back(
    tmp_path, make_realm, dataset, server, logging_restored, state, end
):
    pair = await opened(tmp_path, make_realm, dataset, emptied(server))
    pids = [broker.pid for broker in pair.brokers]
    try:
        async with pair.session(first=0) as session:
            asking = asyncio.create_task(session.query(QUESTION, deadline_s=170))
            await reached(server, 0, state)
            await asyncio.to_thread(getattr(server, end))
            await well(pair, until=False)
            at_broker = await asyncio.to_thread(problems, pair.brokers[0].home)
            assert "cannot be used just now" in at_broker["store"]
            at_node = await asyncio.to_thread(problems, pair.nodes["a"].home)
            assert "says that it cannot do its work just now" in at_node["broker"]
            await asyncio.to_thread(server.start)
            async with asyncio.timeout(150):
                result = await asking
        assert result.rows == ANSWER
        assert len(result.parties) == 3
        await well(pair, until=True)
        await pair.both_know(3)
        assert [broker.pid for broker in pair.brokers] == pids
        assert not [line for line in said(pair) if any(word in line for word in FOREIGN)]
    finally:
        await pair.close()


async def test_questions_are_answered_while_connections_to_postgresql_break(
    tmp_path, make_realm, dataset, server, logging_restored
):
    """Reset at random moments, in the middle of transactions and of commits."""
    place = emptied(server)
    async with proxied(f"127.0.0.1:{server.port}") as proxy:
        place = place.replace(f"127.0.0.1:{server.port}", proxy.address)
        pair = await opened(tmp_path, make_realm, dataset, place)
        chance = random.Random(5)

        async def break_off():
            while True:
                await asyncio.sleep(chance.uniform(0.05, 1.0))
                proxy.fault = "cut"
                proxy.fault = None

        breaking = asyncio.create_task(break_off())
        try:
            for number in range(12):
                async with pair.session(first=number % 2) as session, asyncio.timeout(170):
                    assert (await session.query(QUESTION, deadline_s=170)).rows == ANSWER
                if number and (hit := "the store cannot be used" in said(pair)):
                    break
            assert hit
            breaking.cancel()
            await pair.both_know(3)
            assert not [line for line in said(pair) if any(word in line for word in FOREIGN)]
        finally:
            breaking.cancel()
            await pair.close()
