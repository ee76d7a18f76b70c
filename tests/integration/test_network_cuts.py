"""The network between a node and its broker stalls, trickles and is cut; the job goes on when it is back.

Daemons in this process, mutual TLS, and a proxy on loopback in between (`support.proxy`).
"""

import asyncio
import os
import random
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from subprocess import DEVNULL

import pytest
from support.daemons import logging_restored, network  # noqa: F401 - fixtures
from support.hospitals import dataset, make_job, make_realm  # noqa: F401 - fixtures
from support.namespace import HERE, namespace, why_not
from support.proxy import proxied

from kapok.demo.processes import command_line
from kapok.errors import KapokError
from kapok.wire.messages import JobState

FAULTS = ("stall", "throttle", "cut", "half-close", "refuse")
MOMENTS = (None, JobState.GATHERING, JobState.SEALING, JobState.RELEASING)
"""When the fault begins: before the question is asked, or when its job is in that state, or has passed it."""
PATIENCE_S = 180
TRUTH = 90


@asynccontextmanager
async def hospitals(net, through="b"):
    """Three hospitals, those of these letters through a proxy; yields the proxies."""
    async with AsyncExitStack() as stack:
        proxies = {}
        for letter in "abc":
            node = net.furnish(letter)
            if letter in through:
                proxies[letter] = await stack.enter_async_context(proxied(net.broker.address))
                settings = node.home / "node.toml"
                settings.write_text(settings.read_text().replace(net.broker.address, proxies[letter].address))
        await asyncio.gather(*(node.start() for node in net.nodes.values()))
        await net.joined(3)
        try:
            yield proxies
        finally:
            await asyncio.gather(*(node.stop() for node in net.nodes.values()))


async def reached(net, job, moment):
    """Wait until the job is in a state, or past it."""
    order = [*JobState]
    async with asyncio.timeout(PATIENCE_S):
        while order.index((await net.line.analyst.job(job.id)).state) < order.index(moment):
            await asyncio.sleep(0.002)


async def asked_through(net, ask, proxies, fault, moment, seconds):
    """Ask while something is wrong with a network for so long; return the answer."""
    proxy = random.choice(list(proxies.values())) if len(proxies) > 1 else next(iter(proxies.values()))
    keys = await net.joined(3)
    if moment is None:
        proxy.fault = fault
    job = await net.submit(ask, deadline_s=PATIENCE_S, keys=keys)
    if moment is not None:
        await reached(net, job, moment)
        proxy.fault = fault
    await asyncio.sleep(seconds)
    proxy.fault = None
    answer = await net.answer(job)
    await net.line.analyst.acknowledge(job.id)  # else it counts among the analyst's open ones
    return answer


async def test_a_job_goes_on_after_each_fault(network, make_job):  # noqa: F811
    async with network() as net, hospitals(net) as proxies:
        for fault, moment in zip(
            FAULTS, (JobState.SEALING, None, JobState.GATHERING, JobState.SEALING, None), strict=True
        ):
            assert await asked_through(net, make_job, proxies, fault, moment, 0.5) == ((TRUTH,),), fault


async def test_a_job_whose_node_is_cut_off_ends_named_at_its_deadline(network, make_job):  # noqa: F811
    async with network() as net, hospitals(net) as proxies:
        keys = await net.joined(3)
        proxies["b"].fault = "stall"
        job = await net.submit(make_job, deadline_s=2, keys=keys)
        status = await net.ended(job)
        assert status.state is JobState.FAILED
        assert status.error.code == "deadline_passed"
        assert str(net.credentials("b").name) in status.error.message
        proxies["b"].fault = None
        assert await net.answer(await net.submit(make_job, deadline_s=PATIENCE_S)) == ((TRUTH,),)


@pytest.mark.slow
async def test_jobs_go_on_after_many_faults(network, make_job, capsys):  # noqa: F811
    """KAPOK_CUTS=first:number of seeds; some stall for longer than gRPC takes to find a connection dead."""
    first, _, number = os.environ.get("KAPOK_CUTS", "0:60").partition(":")
    seen = Counter()
    async with network() as net, hospitals(net, through="abc") as proxies:
        for seed in range(int(first), int(first) + int(number or 1)):
            random.seed(seed)
            fault, moment = random.choice(FAULTS), random.choice(MOMENTS)
            seconds = 35.0 if seed % 20 == 7 else random.choice((0.0, random.uniform(0, 3)))
            try:
                answer = await asked_through(net, make_job, proxies, fault, moment, seconds)
            except KapokError as error:
                raise AssertionError(
                    f"seed {seed}: {fault} {moment} {seconds}: {error.diagnostics()}"
                ) from error
            assert answer == ((TRUTH,),), seed
            seen[f"{fault} in {moment or 'no job yet'}"] += 1
    with capsys.disabled():
        print(f"\n{dict(sorted(seen.items()))}")


@pytest.mark.skipif(bool(why_not()), reason=why_not())
async def test_a_node_in_another_namespace_whose_cable_is_pulled(network, make_job):  # noqa: F811
    """Between two network stacks: packets vanish, and neither side hears of it."""
    with namespace() as there:
        async with network(host=HERE) as net:
            homes = {letter: net.furnish(letter) for letter in "abc"}
            await asyncio.gather(*(homes[letter].start() for letter in "ac"))
            away = there.popen(command_line(["node", "run"], homes["b"].home), stdout=DEVNULL, stderr=DEVNULL)
            try:
                await net.joined(3)
                for moment, seconds in ((None, 0.5), (JobState.GATHERING, 1.5), (JobState.SEALING, 1.0)):
                    keys = await net.joined(3)
                    if moment is None:
                        there.pull()
                    job = await net.submit(make_job, deadline_s=PATIENCE_S, keys=keys)
                    if moment is not None:
                        await reached(net, job, moment)
                        there.pull()
                    await asyncio.sleep(seconds)
                    there.plug()
                    assert await net.answer(job) == ((TRUTH,),)
            finally:
                away.terminate()
                await asyncio.to_thread(away.wait)
                await asyncio.gather(*(homes[letter].stop() for letter in "ac"))
