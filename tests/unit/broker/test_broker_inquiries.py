"""Inquiries pass through the broker's store, to whom they are addressed, and back to who asked."""

import asyncio

import msgspec
import pytest

from kapok.broker import inquiries as room
from kapok.broker.inquiries import Inquiries
from kapok.broker.presence import Presence
from kapok.broker.wakeups import Wakeups
from kapok.broker.worker import Worker
from kapok.documents.envelope import JwsSigner, document_id
from kapok.documents.statements import INQUIRY_TYP, JOB_TYP, OPINION_TYP, OpinionStatement
from kapok.errors import IdentityInvalid, InvalidInput, NotAuthorised, PeerProtocolError, Unavailable
from kapok.identity.names import PartyName
from kapok.wire.messages import Inquiry

PATIENCE_S = 10.0


class Relay:
    """The room with its surroundings, and the parties that talk to it."""

    def __init__(self, world, worker: Worker, open_s: float) -> None:
        self.world = world
        self.presence = Presence()
        self.wakeups = Wakeups(asyncio.get_running_loop())
        world.context._announce = self.wakeups.announce
        world.jobs.resume()
        self.worker = worker
        self.inquiries = Inquiries(world.context, worker, self.wakeups, self.presence.connected, open_s)
        self.analyst = world.publisher

    def inquiry(self, typ=INQUIRY_TYP, **changes) -> tuple[str, str]:
        payload = msgspec.json.encode(self.analyst.prepare(**changes).specification)
        return document_id(payload), self.analyst.signer.sign(typ, payload)

    async def answers(self, token: str) -> list[str]:
        return [opinion async for opinion in self.inquiries.explain(self.analyst.name, token)]

    def credentials(self, node: str):
        name = PartyName.parse(node)
        return self.world.domain.credentials(name.organisation, name.role, name.name)

    def opinion(self, node: str, inquiry_id: str) -> str:
        statement = OpinionStatement(inquiry_id, "automatic", None)
        return JwsSigner(self.credentials(node)).sign(OPINION_TYP, msgspec.json.encode(statement))

    async def give(self, node: str, inquiry_id: str, token: str) -> None:
        await self.worker.run(self.inquiries.give, PartyName.parse(node), inquiry_id, token)

    def owed(self, node: str) -> dict[str, Inquiry]:
        return self.inquiries.owed([node])[node]

    async def asked(self, node: str) -> None:
        """Until the inquiry waits for a node."""
        async with asyncio.timeout(PATIENCE_S):
            while not self.owed(node):
                await asyncio.sleep(0.01)


@pytest.fixture
async def relay(world):
    worker = Worker()
    yield Relay(world, worker, PATIENCE_S)
    worker.close()


async def test_each_connected_member_is_asked_and_its_opinion_passed_on(relay):
    first, second, *others = relay.world.nodes
    inquiry_id, token = relay.inquiry()
    with relay.presence.watch(first), relay.presence.watch(second), relay.wakeups.listen(first) as wakeup:
        asking = asyncio.ensure_future(relay.answers(token))
        await relay.asked(first)
        await asyncio.wait_for(wakeup.wait(), PATIENCE_S)
        assert relay.owed(second) == {inquiry_id: Inquiry(token)}
        assert relay.owed(others[0]) == {}
        given = [relay.opinion(node, inquiry_id) for node in (first, second)]
        await relay.give(first, inquiry_id, given[0])
        assert relay.owed(first) == {}
        await relay.give(first, inquiry_id, given[0])
        await relay.give(second, inquiry_id, given[1])
        assert await asyncio.wait_for(asking, PATIENCE_S) == given
    assert relay.owed(second) == {}
    await relay.give(second, inquiry_id, given[1])  # too late: dropped


async def test_nobody_connected_is_no_opinion_at_once(relay):
    assert await asyncio.wait_for(relay.answers(relay.inquiry()[1]), PATIENCE_S) == []


async def test_who_does_not_answer_is_not_waited_for_for_ever(world):
    worker = Worker()
    relay = Relay(world, worker, 0.05)
    with relay.presence.watch(next(iter(world.nodes))):
        assert await asyncio.wait_for(relay.answers(relay.inquiry()[1]), PATIENCE_S) == []
    worker.close()


async def test_a_caller_who_leaves_takes_the_inquiry_along(relay):
    node = next(iter(relay.world.nodes))
    with relay.presence.watch(node):
        asking = asyncio.ensure_future(relay.answers(relay.inquiry()[1]))
        await relay.asked(node)
        asking.cancel()
        await asyncio.wait([asking])
        assert relay.owed(node) == {}


async def test_only_its_own_node_gives_an_opinion(relay):
    node, other, *_ = relay.world.nodes
    inquiry_id, token = relay.inquiry()
    with relay.presence.watch(node):
        asking = asyncio.ensure_future(relay.answers(token))
        await relay.asked(node)
        with pytest.raises(NotAuthorised):
            await relay.give(node, inquiry_id, relay.opinion(other, inquiry_id))
        with pytest.raises(NotAuthorised):
            await relay.give(node, inquiry_id, relay.opinion(node, "0" * 64))
        with pytest.raises(IdentityInvalid):
            await relay.give(node, inquiry_id, token)
        await relay.give(other, inquiry_id, relay.opinion(other, inquiry_id))  # was not asked: dropped
        await relay.give(node, inquiry_id, relay.opinion(node, inquiry_id))
        assert len(await asyncio.wait_for(asking, PATIENCE_S)) == 1


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"typ": JOB_TYP}, IdentityInvalid),
        ({"analyst": "spiffe://kapok.test/org/other/analyst/one"}, NotAuthorised),
        ({"members": ()}, InvalidInput),
        ({"members": ("spiffe://kapok.test/org/a/node/main",) * 2}, InvalidInput),
    ],
    ids=["a job", "another's", "nobody asked", "a node twice"],
)
async def test_what_is_no_inquiry_of_the_callers_own_is_refused(relay, changes, error):
    with pytest.raises(error):
        await relay.answers(relay.inquiry(**changes)[1])


async def test_a_statement_of_another_form_is_refused(relay):
    token = relay.analyst.signer.sign(INQUIRY_TYP, b"{}")
    with pytest.raises(PeerProtocolError):
        await relay.answers(token)


async def test_open_inquiries_are_bounded(relay, monkeypatch):
    node = next(iter(relay.world.nodes))
    tokens = [relay.inquiry()[1] for _ in range(3)]
    with relay.presence.watch(node):
        open_ones = [asyncio.ensure_future(relay.answers(token)) for token in tokens[:2]]
        async with asyncio.timeout(PATIENCE_S):
            while len(relay.owed(node)) < 2:
                await asyncio.sleep(0.01)
        with pytest.raises(InvalidInput) as twice:
            await relay.answers(tokens[0])
        assert twice.value.code == "duplicate_inquiry"
        with pytest.raises(Unavailable) as caught:
            await relay.answers(tokens[2])
        assert caught.value.code == "too_many_open_inquiries"
        for task in open_ones:
            task.cancel()
        await asyncio.wait(open_ones)
        monkeypatch.setattr(room, "_MOST_OPEN", 0)
        with pytest.raises(Unavailable):
            await relay.answers(tokens[2])
    assert relay.owed(node) == {}


def test_a_broker_that_was_taken_for_dead_asks_all_the_same(world):
    inquiries = Inquiries(world.context, Worker(), Wakeups(None), Presence().connected, 1.0)
    world.jobs.resume()
    with world.store.transaction() as tx:
        tx.brokers.forget([world.context.broker])
    inquiries._open(world.publisher.name, "a" * 64, "token", list(world.nodes))
    assert all("a" * 64 in owed for owed in inquiries.owed(list(world.nodes)).values())
