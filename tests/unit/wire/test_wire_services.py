"""Every verb of every service over a real connection: the handler sees what the caller said, and back."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace

import pytest

from kapok.errors import InvalidInput
from kapok.wire import codec
from kapok.wire.messages import MOST_CHUNK_BYTES, Idle, JobState, RoundParameters
from kapok.wire.v1 import node_pb2

JOB = "cd" * 32


async def test_a_dataset_is_published_listed_and_found(broker, analyst, analyst_credentials):
    caller = analyst_credentials.name
    dataset_hash = await analyst.catalogue.publish_dataset("heart")
    await analyst.catalogue.publish_dataset("lung")
    assert broker.catalogue.calls[0] == ("publish", caller, "heart")
    listed = await analyst.catalogue.datasets()
    assert [entry.document for entry in listed] == ["heart", "lung"]
    assert await analyst.catalogue.datasets("lung") == listed[1:]
    assert await analyst.catalogue.datasets("liver") == []
    found = await analyst.catalogue.dataset(dataset_hash)
    assert found == broker.catalogue.entries[dataset_hash]
    assert found.connected == (str(caller),)


async def test_every_role_may_use_the_catalogue(broker, node):
    await node.catalogue.publish_dataset("heart")
    assert broker.catalogue.calls[0][1].role == "node"


async def test_jobs_in_every_state_arrive_whole(broker, analyst):
    jobs = await analyst.analyst.jobs()
    assert [job.state for job in jobs] == list(JobState)
    for job, sent in zip(jobs, broker.analysts.statuses, strict=True):
        if sent.error is None:
            assert job == sent
        else:
            assert job.error.diagnostics() == sent.error.diagnostics()
            assert type(job.error) is type(sent.error)


async def test_submit_show_cancel_acknowledge(broker, analyst, analyst_credentials):
    caller = analyst_credentials.name
    assert await analyst.analyst.submit("spec") == "ab" * 32
    assert await analyst.analyst.job(JOB) == broker.analysts.statuses[0]
    await analyst.analyst.cancel(JOB)
    long = bytes(MOST_CHUNK_BYTES + 3)
    await analyst.analyst.steer(JOB, RoundParameters("statement", long))
    await analyst.analyst.acknowledge(JOB)
    assert broker.analysts.calls == [
        ("submit", caller, "spec"),
        ("job", caller, JOB),
        ("cancel", caller, JOB),
        ("steer", caller, JOB, "statement", [long[:MOST_CHUNK_BYTES], long[MOST_CHUNK_BYTES:]]),
        ("acknowledge", caller, JOB),
    ]


async def test_a_watch_shows_each_change_and_ends_with_the_job(broker, analyst):
    for status in broker.analysts.statuses[:3]:
        broker.analysts.changes.put_nowait(status)
    broker.analysts.changes.put_nowait(None)
    seen = [status.state async for status in analyst.analyst.watch(JOB)]
    assert seen == [JobState.GATHERING, JobState.SEALING, JobState.RELEASING]
    assert broker.analysts.watch_closed.is_set()


async def test_a_watch_brings_the_specification_once(broker, analyst):
    sent = [replace(status, specification="s" * 100_000) for status in broker.analysts.statuses[:3]]
    for status in (*sent, None):
        broker.analysts.changes.put_nowait(status)
    before = analyst.traffic.bytes_received
    assert [status async for status in analyst.analyst.watch(JOB)] == sent
    assert 100_000 < analyst.traffic.bytes_received - before < 110_000


async def test_a_watch_that_the_caller_leaves_is_closed_at_the_handler(broker, analyst):
    broker.analysts.changes.put_nowait(broker.analysts.statuses[0])
    watch = analyst.analyst.watch(JOB)
    await anext(watch)
    assert not broker.analysts.watch_closed.is_set()
    await watch.aclose()
    await asyncio.wait_for(broker.analysts.watch_closed.wait(), 10)


async def test_a_sum_comes_as_evidence_and_chunks(broker, analyst):
    assert [part async for part in analyst.analyst.fetch(JOB)] == broker.analysts.sum


async def test_opinions_come_one_by_one(broker, analyst, analyst_credentials):
    assert [opinion async for opinion in analyst.analyst.explain("question")] == ["yes", "no"]
    assert broker.analysts.calls == [("explain", analyst_credentials.name, "question")]


async def test_every_assignment_arrives(broker, node):
    watch = node.node.watch()
    assert [await anext(watch) for _ in broker.nodes.todo] == broker.nodes.todo
    await watch.aclose()
    await asyncio.wait_for(broker.nodes.watch_closed.wait(), 10)


async def test_a_node_joins_and_answers(broker, node, node_credentials):
    caller = node_credentials.name
    await node.node.join("member")
    await node.node.consent(JOB, "yes")
    await node.node.refuse(JOB, "no")
    await node.node.release(JOB, "rho")
    await node.node.give_opinion(JOB, "yes")
    assert broker.nodes.calls == [
        ("join", caller, "member"),
        ("consent", caller, JOB, "yes"),
        ("refuse", caller, JOB, "no"),
        ("release", caller, JOB, "rho"),
        ("give_opinion", caller, JOB, "yes"),
    ]


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_sealed_vector_arrives_chunk_by_chunk(broker, node, asynchronous):
    chunks = [bytes([n]) * size for n, size in enumerate((1, 1000, MOST_CHUNK_BYTES, 5))]

    async def later():
        for chunk in chunks:
            yield chunk

    await node.node.seal(JOB, "seal", later() if asynchronous else chunks)
    assert broker.nodes.sealed == chunks


async def test_a_desk_that_has_the_vector_already_need_not_read_it(broker, node):
    broker.nodes.reads_chunks = False
    await node.node.seal(JOB, "seal", [bytes(MOST_CHUNK_BYTES)] * 40)
    assert broker.nodes.sealed == []


async def test_what_the_chunk_source_raises_is_raised_and_ends_the_call(broker, node):
    class TornError(Exception):
        pass

    def torn():
        yield b"one"
        raise TornError

    with pytest.raises(TornError):
        await node.node.seal(JOB, "seal", torn())
    assert broker.nodes.sealed == []


async def test_parameters_come_in_chunks(broker, node, node_credentials):
    assert [chunk async for chunk in node.node.parameters(JOB, 2, 1)] == [b"sea", b"led"]
    assert broker.nodes.calls == [("parameters", node_credentials.name, JOB, 2, 1)]


async def test_an_empty_vector_is_the_desks_to_refuse(node):
    with pytest.raises(InvalidInput) as caught:
        await node.node.seal(JOB, "seal", [])
    assert caught.value.code == "empty_vector"


async def test_traffic_is_counted_on_both_sides(broker, node):
    await node.node.seal(JOB, "seal", [bytes(1000)] * 3)
    near, far = node.traffic, broker.server.traffic
    assert near.messages_sent == far.messages_received == 4
    assert near.bytes_sent == far.bytes_received > 3000
    assert near.messages_received == far.messages_sent == 1


@pytest.mark.parametrize("bad", ["", "ab", "AB" * 32, "zz" * 32, "ab" * 33, "\udc80" * 64])
async def test_an_id_that_is_none_is_refused_before_it_is_sent(broker, analyst, bad):
    with pytest.raises(InvalidInput) as caught:
        await analyst.analyst.job(bad)
    assert caught.value.code == "bad_id"
    assert broker.analysts.calls == []


@pytest.mark.parametrize("bad", ["a\nb", "\udc80", "x" * 256])
async def test_a_name_that_is_none_is_refused_before_it_is_sent(broker, analyst, bad):
    with pytest.raises(InvalidInput) as caught:
        await analyst.catalogue.datasets(bad)
    assert caught.value.code == "bad_name"
    assert broker.catalogue.calls == []


async def test_a_watch_that_is_no_generator_is_closed_too(broker, analyst):
    class Subscription:
        """What a handler may hand out as well: it holds something open until it is closed."""

        def __init__(self) -> None:
            self.closed = asyncio.Event()

        def __aiter__(self):
            return self

        async def __anext__(self):
            return broker.analysts.statuses[0]

        async def aclose(self) -> None:
            self.closed.set()

    subscription = Subscription()
    broker.analysts.watch = lambda caller, job_id: subscription
    watch = analyst.analyst.watch(JOB)
    await anext(watch)
    await watch.aclose()
    await asyncio.wait_for(subscription.closed.wait(), 10)


async def test_an_officer_signs_and_sees(broker, officer, officer_credentials):
    caller = officer_credentials.name
    assert await officer.officer.sign_reopening(b"{}") == "cd" * 32
    assert await officer.officer.reopenings() == broker.officers.kept
    assert await officer.officer.reopenings(JOB) == broker.officers.kept
    assert await officer.officer.cohorts(JOB) == broker.officers.evidence
    assert broker.officers.calls == [
        ("sign", caller, b"{}"),
        ("reopenings", caller, None),
        ("reopenings", caller, JOB),
        ("cohorts", caller, JOB),
    ]
    with pytest.raises(InvalidInput):
        await officer.officer.cohorts("heart")


async def test_a_node_answers_a_reopening(broker, node, node_credentials):
    await node.node.answer_reopening(JOB, "yes")
    assert broker.nodes.calls == [("answer_reopening", node_credentials.name, JOB, "yes")]


async def test_an_assignment_that_this_release_does_not_know_is_left_out(broker, node, monkeypatch, caplog):
    """As a broker of a later release may send it: all others come all the same."""
    write = codec.write_assignment

    def newer(assignment):
        return (
            node_pb2.WatchResponse.FromString(b"\xfa\x3f\x03new")
            if assignment == Idle()
            else write(assignment)
        )

    monkeypatch.setattr(codec, "write_assignment", newer)
    async with contextlib.aclosing(node.node.watch()) as assignments:
        known = [one for one in broker.nodes.todo if one != Idle()]
        assert [await anext(assignments) for _ in known] == known
    assert [record.code for record in caplog.records if record.name == "kapok.wire.clients"] == ["bad_answer"]
