"""From the logs alone: which job failed, whose it was, why, and what to do; and no line a thousand times."""

import asyncio
import io
import json
import logging

import pytest

from kapok import logs
from kapok.errors import Unavailable
from kapok.nodes import link
from kapok.wire.messages import JobState


@pytest.fixture
def written():
    """What all daemons of the test write, as an operator finds it."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonFormatter())
    logging.getLogger().addHandler(handler)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logging.getLogger().removeHandler(handler)


def of_job(lines, job):
    """As `grep` finds them."""
    return [one for one in lines if one.get("job") == job.id]


async def test_a_refused_job_is_told_with_its_analyst_reason_and_remedy_at_both_sides(
    network, make_job, written
):
    async with network() as net:
        for letter in "abc":
            await net.furnish(letter).start()
        job = await net.submit(make_job, "SELECT VARIANCE(age) FROM clinic")
        assert (await net.ended(job)).state is JobState.FAILED
        lines = of_job(written(), job)
        analyst = str(net.analyst.name)
        assert lines
        assert {one["analyst"] for one in lines} == {analyst}
        submitted = next(one for one in lines if one["message"] == "job submission")
        assert (submitted["members"], submitted["dataset"]) == (3, net.hash)
        refused = [one for one in lines if one["message"] == "refused"]
        failed = next(one for one in lines if one["message"] == "job failure")
        assert failed["party"].endswith("/node/main")
        assert failed["level"] == "info"
        for one in (failed, refused[0]):
            assert one["code"] == "operation_not_allowed"
            assert "variance" in one["what"]
            assert one["clause"].startswith("policy.rule[1]")
            assert one["remedy"]


async def test_a_job_that_nobody_answered_is_a_warning_that_names_who_was_silent(network, make_job, written):
    async with network() as net:
        for letter in "abc":
            await net.furnish(letter).start()
        keys = await net.joined(3)
        await net.nodes["b"].stop()
        job = await net.submit(make_job, deadline_s=2, keys=keys)
        assert (await net.ended(job)).state is JobState.FAILED
        failed = next(one for one in of_job(written(), job) if one["message"] == "job failure")
        assert (failed["level"], failed["code"]) == ("warning", "deadline_passed")
        assert "/org/b/node/main" in json.dumps(failed)


async def test_a_broker_that_is_away_all_night_is_told_once_and_when_it_is_back(
    network, written, monkeypatch
):
    monkeypatch.setattr(link, "_STABLE_S", 0.0)  # each wait is the shortest
    async with network() as net:
        await net.furnish("a").start()
        place = net.broker.address
        await net.broker.stop()
        (net.broker.home / "broker.toml").write_text(f'listen = "{place}"\n')
        async with asyncio.timeout(60):
            while not [one for one in written() if one["message"] == "no connection to the broker"]:
                await asyncio.sleep(0.05)
            await asyncio.sleep(3)
            await net.broker.start()
            while not [one for one in written() if one["message"] == "the broker is back"]:
                await asyncio.sleep(0.05)
        lost = [one for one in written() if one["message"] == "no connection to the broker"]
        back = next(one for one in written() if one["message"] == "the broker is back")
        codes = [one["code"] for one in lost]
        assert codes.count("nobody_answers") <= 1
        assert len(codes) == len(set(codes))
        assert back["unsaid"] >= 1
        assert back["broker"] == place


async def test_a_node_waits_for_a_broker_that_has_lost_the_dataset(network, written, monkeypatch):
    """Set back to before it was published: the node does not end, and joins once it is published again."""
    monkeypatch.setattr(link, "_JOIN_AGAIN_S", 0.2)
    async with network() as net:
        await net.furnish("a").start()
        place = net.broker.address
        document = (await net.line.catalogue.dataset(net.hash)).document
        await net.nodes["a"].stop()
        await net.broker.stop()
        for file in net.broker.home.glob("broker.db*"):
            file.unlink()
        (net.broker.home / "broker.toml").write_text(f'listen = "{place}"\n')
        await net.broker.start()
        await net.nodes["a"].start()
        told = [one for one in written() if one["message"] == "the broker does not take a membership"]
        assert [one["code"] for one in told] == ["unknown_dataset"]
        async with asyncio.timeout(30):
            while True:
                try:
                    await net.line.catalogue.publish_dataset(document)
                    break
                except Unavailable:
                    await asyncio.sleep(0.1)
        await net.joined(1)
