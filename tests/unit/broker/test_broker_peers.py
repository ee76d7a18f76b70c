"""Two broker processes on one PostgreSQL, driven step by step: what one does, the other leaves alone."""

import pytest
from support.broker import DrivenJobs
from support.postgres import ON_POSTGRESQL, PASSWORD

from kapok.broker.computation import deadlines, peers
from kapok.broker.computation.context import Context
from kapok.broker.store import Store
from kapok.broker.store.schema import BrokerRow
from kapok.wire.messages import JobState

pytestmark = pytest.mark.parametrize("place", [ON_POSTGRESQL], indirect=True)


@pytest.fixture
def other(world):
    """A second process on the world's store."""
    store = Store.open(world.place, PASSWORD)
    context = Context(store, world.verifier, world.clock, world.limits)
    jobs = DrivenJobs(context)
    jobs.resume()
    jobs.context = context
    yield jobs
    store.close()


def sealed(world):
    """A job whose vectors are all in, and none folded."""
    asked = world.publisher.ask()
    nodes = list(world.nodes.values())
    for _ in range(2):
        for node in nodes:
            node.work()
    return asked


def test_a_sum_is_folded_by_one_process_and_by_the_next_when_that_is_dead(world, other):
    asked = sealed(world)
    assert world.jobs.unfolded() == other.unfolded() == [asked.id]
    with world.store.transaction() as tx:
        assert world.context.leads(tx, asked.id)
    assert other.unfolded() == []
    assert not other.fold_some(asked.id)
    with other.context.store.transaction() as tx:
        tx.brokers.forget([world.context.broker])  # as `peers.beat` does with who is silent
    assert other.unfolded() == [asked.id]
    other.fold_all()
    for node in world.nodes.values():
        node.work()
    assert other.job(world.publisher.name, asked.id).state is JobState.SUMMED
    assert world.publisher.open(asked) == world.truth()


def test_the_clock_is_watched_by_one_process(world, other, monkeypatch):
    ticks = []
    monkeypatch.setattr(deadlines, "tick", ticks.append)
    world.jobs.tick()
    other.tick()
    assert ticks == [world.context]
    peers.leave(world.context)
    other.tick()
    assert ticks == [world.context, other.context]


def test_who_is_silent_is_taken_for_dead_and_enters_again(world, other):
    assert peers.beat(world.context, {"n1"}) == frozenset()
    assert peers.beat(other.context, {"n2"}) == {"n1"}
    with world.store.transaction() as tx:
        assert tx.brokers.silent(peers.SILENT_S) == []
        tx._rows.get(BrokerRow, other.context.broker).seen_at -= peers.SILENT_S + 1
        assert tx.brokers.take("some work", other.context.broker)
    assert peers.beat(world.context, {"n1"}) == frozenset()
    with world.store.transaction() as tx:
        assert not tx.brokers.take("more work", other.context.broker)
        assert tx.brokers.take("some work", world.context.broker)
    assert peers.beat(other.context, {"n2"}) == {"n1"}
    assert peers.beat(world.context, {"n1"}) == {"n2"}


def test_an_upload_to_a_process_that_died_is_begun_again_at_the_other(world, other):
    asked = world.publisher.ask()
    nodes = list(world.nodes.values())
    for node in nodes:
        node.work()
    first, *others = nodes
    [attempt] = first.owed()
    sealed_vector = first.sealed(attempt)
    upload = world.jobs.begin_upload(first.name, asked.id, sealed_vector.token)
    upload.add(sealed_vector.chunks[:1])
    again = other.begin_upload(first.name, asked.id, sealed_vector.token)
    with again:
        again.add(sealed_vector.chunks)
        again.finish()
    for node in others:
        node.work()
    other.fold_all()
    for node in nodes:
        node.work()
    assert world.publisher.open(asked) == world.truth()
