"""A node that is told to stop while it is at work: what has begun is sent, and then it ends."""

import asyncio
import sys
import threading
from dataclasses import replace
from types import SimpleNamespace

from kapok.computations import registry
from kapok.computations.query.entry import COMPUTATION as QUERY
from kapok.wire.messages import JobState


async def test_a_node_that_stops_sends_the_seal_that_it_has_begun(network, make_job, monkeypatch):
    begun, go_on = threading.Semaphore(0), threading.Event()

    def contribute(*asked):
        begun.release()
        assert go_on.wait(60)
        return QUERY.contribute(*asked)

    slow = SimpleNamespace(COMPUTATION=replace(QUERY, name="slow", contribute=contribute))
    monkeypatch.setitem(sys.modules, "slow_computation", slow)
    monkeypatch.setitem(registry._MODULES, "slow", "slow_computation")
    async with network() as net:
        for letter in "abc":
            await net.furnish(letter).start()

        def slow_job(*given, **named):
            return make_job(*given, kind="slow", **named)

        job = await net.submit(slow_job, deadline_s=120)
        for _ in "abc":
            assert await asyncio.to_thread(begun.acquire, timeout=60)
        stopping = asyncio.create_task(net.nodes["b"].stop())
        await asyncio.sleep(0.5)
        assert not stopping.done()
        go_on.set()
        await stopping
        status = await net.line.analyst.job(job.id)
        assert str(net.credentials("b").name) not in status.waiting_for or status.state is JobState.RELEASING
        await net.nodes["b"].start()
        assert await net.answer(job) == ((90,),)
        for node in net.nodes.values():
            await node.stop()
