"""What a node's watch sends, and sends again; how uploads share memory."""

import asyncio
import contextlib
from types import SimpleNamespace

import pytest

from kapok.broker import handlers
from kapok.broker.handlers import BrokerAnalystHandler, BrokerNodeHandler, Edge
from kapok.broker.presence import Presence
from kapok.broker.wakeups import Wakeups
from kapok.broker.worker import Worker
from kapok.errors import Unavailable
from kapok.identity.names import PartyName
from kapok.wire.messages import Closed, Completion, Idle, Offer, OpenAttempt

NODE = PartyName.parse("spiffe://kapok.test/org/ash/node/node")
OWED = {
    ("closed", "j0", 0): Closed("j0"),
    ("offer", "j1", 1): Offer("specification"),
    ("open", "j2", 1): OpenAttempt(specification="s", round=1, attempt=1, consents=()),
    ("completion", "j3", 1): Completion(job_id="j3", round=1, attempt=1, seals=()),
}

NO_INQUIRIES = SimpleNamespace(owed=lambda nodes: {node: {} for node in nodes})
NO_REVOCATIONS = SimpleNamespace(current=None)
OWING = SimpleNamespace(assignments=lambda nodes: {node: dict(OWED) for node in nodes}, now=lambda: 0.0)


@pytest.fixture
def worker():
    made = Worker()
    yield made
    made.close()


def node_handler(worker, presence, jobs):
    wakeups = Wakeups(asyncio.get_running_loop())
    edge = Edge(worker, wakeups, presence, upload_idle_s=1.0)
    return BrokerNodeHandler(edge, None, jobs, None, NO_INQUIRIES, NO_REVOCATIONS), wakeups


@pytest.mark.parametrize(("others", "batches"), [(0, [8, 8, 4]), (31, [4] * 5), (300, [1] * 20)])
async def test_uploads_share_the_memory_for_what_is_not_written_down_yet(worker, others, batches):
    added = []
    upload = SimpleNamespace(
        add=lambda chunks: added.append(len(chunks)), finish=lambda chunks: added.append((len(chunks), "end"))
    )
    presence = Presence()
    handler, wakeups = node_handler(worker, presence, SimpleNamespace(begin_upload=lambda *_: upload))

    async def chunks():
        for _ in range(20):
            yield b"chunk"

    with contextlib.ExitStack() as stack:
        for number in range(others):
            stack.enter_context(presence.upload(f"n{number}", "j"))
        with wakeups.listen(handlers.UPLOADED) as uploaded:
            await handler.seal(NODE, "j", "token", chunks())
            await asyncio.wait_for(uploaded.wait(), 10)
    *before, last = batches
    assert added == [*before, (last, "end")]
    assert presence.uploads == 0


async def test_a_long_list_is_read_as_its_caller_takes_it(worker):
    """It is neither kept in memory as a whole nor read in one step while everybody else waits."""
    read = []
    jobs = SimpleNamespace(
        listed=lambda _caller: list(range(100)), jobs=lambda page: read.append(len(page)) or page
    )
    edge = Edge(worker, Wakeups(asyncio.get_running_loop()), Presence(), 1.0)
    handler = BrokerAnalystHandler(edge, jobs, None)
    listing = handler.jobs(NODE)
    assert [await anext(listing) for _ in range(17)] == list(range(17))
    assert read == [16, 16]
    assert [one async for one in listing] == list(range(17, 100))
    assert read == [16] * 6 + [4]


async def test_a_watch_sends_each_assignment_once_until_it_changes(worker):
    handler, wakeups = node_handler(worker, Presence(), OWING)
    watch = handler.watch(NODE)
    assert [await anext(watch) for _ in range(5)] == [Idle(), *OWED.values()]
    OWED["offer", "j1", 2] = Offer("specification")
    try:
        waiting = asyncio.ensure_future(anext(watch))
        await asyncio.sleep(0)
        wakeups.announce({str(NODE)}, ())
        assert await asyncio.wait_for(waiting, 10) == Offer("specification")
    finally:
        del OWED["offer", "j1", 2]
    await watch.aclose()


@pytest.mark.parametrize("for_long", [False, True])
async def test_a_store_that_is_away_costs_a_node_its_watch_only_after_a_while(worker, monkeypatch, for_long):
    """For a moment it is nothing to anybody; for longer, another broker may reach it."""
    monkeypatch.setattr(handlers, "_LOOK_AGAIN_S", 0.01)
    monkeypatch.setattr(handlers, "_STORE_AWAY_S", 0.05 if for_long else 60.0)
    looks = []

    def away(nodes):
        looks.append(nodes)
        if for_long or len(looks) < 4:
            raise Unavailable("restarting", code="store_unavailable")
        return OWING.assignments(nodes)

    handler, _ = node_handler(worker, Presence(), SimpleNamespace(assignments=away, now=OWING.now))
    watch = handler.watch(NODE)
    assert await anext(watch) == Idle()
    if for_long:
        with pytest.raises(Unavailable):
            await anext(watch)
        assert len(looks) > 1
    else:
        assert await anext(watch) == OWED["closed", "j0", 0]
    await watch.aclose()


async def test_nothing_is_queued_for_a_node_that_does_not_take_it(worker):
    """However much changes meanwhile: what it owes is looked up when it has taken what came before."""
    looks = []

    def owed(nodes):
        looks.append(len(looks))
        return {node: {("offer", f"j{len(looks)}", 1): Offer(f"look {len(looks)}")} for node in nodes}

    handler, wakeups = node_handler(worker, Presence(), SimpleNamespace(assignments=owed, now=lambda: 0.0))
    watch = handler.watch(NODE)
    assert [await anext(watch) for _ in range(2)] == [Idle(), Offer("look 1")]
    for _ in range(1000):
        wakeups.announce({str(NODE)}, ())
        await asyncio.sleep(0)
    assert len(looks) == 1
    assert await anext(watch) == Offer("look 2")
    assert len(looks) == 2
    await watch.aclose()


async def test_what_is_idle_looks_nothing_up(worker, monkeypatch):
    monkeypatch.setattr(handlers, "_IDLE_S", 0.001)
    looks = []

    def owed(nodes):
        looks.append(1)
        return {node: {} for node in nodes}

    handler, _ = node_handler(worker, Presence(), SimpleNamespace(assignments=owed, now=lambda: 0.0))
    watch = handler.watch(NODE)
    assert [await anext(watch) for _ in range(20)] == [Idle()] * 20
    assert looks == [1]
    await watch.aclose()


async def test_what_stays_owed_is_sent_again_unless_it_is_just_coming_in(worker, monkeypatch):
    monkeypatch.setattr(handlers, "_IDLE_S", 0.01)
    monkeypatch.setattr(handlers, "_SEND_AGAIN_S", -1.0)
    presence = Presence()
    handler, _ = node_handler(worker, presence, OWING)
    watch = handler.watch(NODE)
    assert [await anext(watch) for _ in range(5)] == [Idle(), *OWED.values()]
    again = [await anext(watch) for _ in range(4)]
    assert again == [Idle(), OWED["offer", "j1", 1], OWED["open", "j2", 1], OWED["completion", "j3", 1]]
    with presence.upload(str(NODE), "j2"):
        others = [Idle(), OWED["offer", "j1", 1], OWED["completion", "j3", 1]]
        assert [await anext(watch) for _ in range(3)] == others
    await watch.aclose()
    assert not presence.connected(str(NODE))
