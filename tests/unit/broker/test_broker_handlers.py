"""Wakeups, presence, the worker thread, and what a watch sends again."""

import asyncio
import contextlib
import threading
from types import SimpleNamespace

import pytest

from kapok import logs
from kapok.broker import handlers
from kapok.broker.handlers import BrokerNodeHandler
from kapok.broker.presence import Presence
from kapok.broker.wakeups import Wakeups
from kapok.broker.worker import Batcher, Worker
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


@pytest.fixture
def worker():
    made = Worker()
    yield made
    made.close()


async def test_the_worker_does_one_thing_at_a_time_in_order(worker):
    done, busy = [], threading.Lock()

    def work(number):
        assert busy.acquire(blocking=False)
        done.append((number, threading.current_thread().name))
        busy.release()

    await asyncio.gather(*(worker.run(work, number) for number in range(50)))
    assert [number for number, _ in done] == list(range(50))
    assert {name for _, name in done} == {"broker_0"}


async def test_what_the_worker_logs_is_of_the_job_that_it_works_for(worker):
    def who():
        return logs._about.get()

    with logs.about(job="ab"):
        assert await worker.run(who) == {"job": "ab"}
    assert await worker.run(who) is None


@contextlib.contextmanager
def held(worker):
    """Keeps the worker busy within the block, so that what is asked meanwhile is done together."""
    busy = threading.Event()
    holding = asyncio.ensure_future(worker.run(busy.wait))
    try:
        yield holding
    finally:
        busy.set()


async def test_calls_that_wait_are_done_together_and_each_has_its_own_answer_or_error():
    groups, done = [], []

    @contextlib.contextmanager
    def group_commit():
        groups.append(len(done))
        yield
        groups.append(len(done))

    def work(number):
        done.append(number)
        if number % 10 == 3:
            raise KeyError(number)
        return number

    worker = Worker(group_commit)
    with held(worker):
        await asyncio.sleep(0)
        asked = [asyncio.ensure_future(worker.run(work, number)) for number in range(40)]
        left = asyncio.ensure_future(worker.run(work, 99))
        await asyncio.sleep(0)
        left.cancel()
        await asyncio.wait([left])
        await asyncio.sleep(0)  # What it waited for hears of it in its turn.
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(one) if number % 10 == 3 else one for number, one in enumerate(answers)] == [
        KeyError if number % 10 == 3 else number for number in range(40)
    ]
    # Whoever waited no more was not worked for; a call alone needs no group.
    assert done == list(range(40))
    assert await worker.run(work, 7) == 7
    assert groups[:3] == [0, 32, 32]
    assert len(groups) == 4
    worker.close()


async def test_what_waits_behind_many_calls_that_were_left_is_done(worker):
    """As when a connection with many calls breaks while the store is slow."""
    done = []
    with held(worker):
        await asyncio.sleep(0)
        left = [asyncio.ensure_future(worker.run(done.append, number)) for number in range(100)]
        await asyncio.sleep(0)
        for one in left:
            one.cancel()
        await asyncio.wait(left)
        await asyncio.sleep(0)  # What they waited for hears of it in its turn.
        asked = asyncio.ensure_future(worker.run(lambda: "done"))
        await asyncio.sleep(0)
    assert await asked == "done"
    assert done == []


async def test_where_nothing_was_written_down_every_one_of_them_is_told():
    @contextlib.contextmanager
    def group_commit():
        yield
        raise Unavailable("disk full", code="store_unavailable")

    worker = Worker(group_commit)
    with held(worker):
        await asyncio.sleep(0)
        asked = [asyncio.ensure_future(worker.run(int, text)) for text in ("1", "x", "3")]
        await asyncio.sleep(0)
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(one) for one in answers] == [Unavailable, ValueError, Unavailable]
    worker.close()


async def test_what_many_want_while_the_worker_is_busy_is_done_once(worker):
    begun, busy = [], threading.Event()

    def work(wishes):
        begun.append(sorted(wishes.items()))
        return {name: 10 * wish for name, wish in wishes.items()}

    batcher = Batcher(worker, work)
    held = asyncio.ensure_future(worker.run(busy.wait))
    asked = [asyncio.ensure_future(batcher.of(name, wish)) for name, wish in (("a", 1), ("b", 2), ("a", 3))]
    left = asyncio.ensure_future(batcher.of("c", 4))
    await asyncio.sleep(0)
    left.cancel()
    busy.set()
    await held
    assert await asyncio.gather(*asked) == [10, 20, 30]
    # The same name twice: each has an answer of its own.
    assert begun == [[("a", 1), ("b", 2)], [("a", 3), ("c", 4)]]
    assert await batcher.of("a", 5) == 50


async def test_what_fails_for_many_fails_for_each_and_not_for_the_next(worker):
    def work(wishes):
        if "bad" in wishes:
            raise KeyError("bad")
        return wishes

    batcher, busy = Batcher(worker, work), threading.Event()
    held = asyncio.ensure_future(worker.run(busy.wait))
    asked = [asyncio.ensure_future(batcher.of(name, 1)) for name in ("bad", "good")]
    await asyncio.sleep(0)
    busy.set()
    await held
    assert [type(one) for one in await asyncio.gather(*asked, return_exceptions=True)] == [KeyError, KeyError]
    assert await batcher.of("good", 1) == 1


async def test_after_the_store_was_away_nobody_is_told_so_any_more():
    """What was not even begun fails for those who asked for it, and for nobody else."""
    away = True

    @contextlib.contextmanager
    def in_one():
        if away:
            raise Unavailable("no connection", code="store_unavailable")
        yield

    worker = Worker(in_one)
    together = Batcher(worker, dict)
    with held(worker):
        await asyncio.sleep(0)
        asked = [asyncio.ensure_future(together.of(name, 1)) for name in ("a", "b")]
        asked.append(asyncio.ensure_future(worker.run(int, "7")))
        await asyncio.sleep(0)
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(one) for one in answers] == [Unavailable] * 3
    away = False
    assert await together.of("c", 2) == 2
    worker.close()


async def test_bells_ring_for_those_who_listen_from_any_thread(worker):
    wakeups = Wakeups(asyncio.get_running_loop())
    with wakeups.listen("a") as first, wakeups.listen("a") as second, wakeups.listen("b") as other:
        await worker.run(wakeups.announce, {"a"}, {"c"})
        await asyncio.wait_for(asyncio.gather(first.wait(), second.wait()), 10)
        assert not other.is_set()
    assert wakeups._listening == {}
    wakeups.announce({"a"}, ())


async def test_jobs_that_change_at_once_are_told_of_in_the_order_in_which_they_changed():
    wakeups, woken = Wakeups(asyncio.get_running_loop()), []

    async def listening(name):
        with wakeups.listen(name) as wakeup:
            await wakeup.wait()
            woken.append(name)

    listeners = [asyncio.create_task(listening(name)) for name in "abc"]
    await asyncio.sleep(0)
    wakeups.announce((), ("c", "a", "b"))
    await asyncio.gather(*listeners)
    assert woken == ["c", "a", "b"]


def test_a_bell_of_a_loop_that_is_gone_is_silent():
    loop = asyncio.new_event_loop()
    wakeups = Wakeups(loop)
    loop.close()
    wakeups.announce({"a"}, {"b"})


def test_presence_counts_lines_and_bounds_them():
    presence = Presence()
    assert not presence.connected("a")
    watches = [presence.watch("a") for _ in range(4)]
    for watch in watches:
        watch.__enter__()
    with pytest.raises(Unavailable) as caught, presence.watch("a"):
        pass
    assert caught.value.code == "too_many_watches"
    for watch in watches[:-1]:
        watch.__exit__(None, None, None)
    assert presence.connected("a")
    watches[-1].__exit__(None, None, None)
    assert not presence.connected("a")


@pytest.mark.parametrize(("others", "batches"), [(0, [8, 8, 4]), (31, [4] * 5), (300, [1] * 20)])
async def test_uploads_share_the_memory_for_what_is_not_written_down_yet(worker, others, batches):
    added = []
    upload = SimpleNamespace(
        add=lambda chunks: added.append(len(chunks)), finish=lambda chunks: added.append((len(chunks), "end"))
    )
    presence = Presence()
    wakeups = Wakeups(asyncio.get_running_loop())
    handler = BrokerNodeHandler(
        worker,
        None,
        SimpleNamespace(begin_upload=lambda *_: upload),
        None,
        wakeups,
        presence,
        NO_INQUIRIES,
        asyncio.Event(),
        1.0,
        NO_REVOCATIONS,
    )

    async def chunks():
        for _ in range(20):
            yield b"chunk"

    with contextlib.ExitStack() as stack:
        for number in range(others):
            stack.enter_context(presence.upload(f"n{number}", "j"))
        await handler.seal(NODE, "j", "token", chunks())
    *before, last = batches
    assert added == [*before, (last, "end")]
    assert presence.uploads == 0


def node_handler(worker, presence):
    jobs = SimpleNamespace(assignments=lambda nodes: {node: dict(OWED) for node in nodes}, now=lambda: 0.0)
    wakeups = Wakeups(asyncio.get_running_loop())
    handler = BrokerNodeHandler(
        worker, None, jobs, None, wakeups, presence, NO_INQUIRIES, asyncio.Event(), 1.0, NO_REVOCATIONS
    )
    return handler, wakeups


async def test_a_watch_sends_each_assignment_once_until_it_changes(worker):
    handler, wakeups = node_handler(worker, Presence())
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


async def test_nothing_is_queued_for_a_node_that_does_not_take_it(worker):
    """However much changes meanwhile: what it owes is looked up when it has taken what came before."""
    looks = []

    def owed(nodes):
        looks.append(len(looks))
        return {node: {("offer", f"j{len(looks)}", 1): Offer(f"look {len(looks)}")} for node in nodes}

    wakeups = Wakeups(asyncio.get_running_loop())
    jobs = SimpleNamespace(assignments=owed, now=lambda: 0.0)
    handler = BrokerNodeHandler(
        worker, None, jobs, None, wakeups, Presence(), NO_INQUIRIES, asyncio.Event(), 1.0, NO_REVOCATIONS
    )
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

    jobs = SimpleNamespace(assignments=owed, now=lambda: 0.0)
    wakeups = Wakeups(asyncio.get_running_loop())
    handler = BrokerNodeHandler(
        worker, None, jobs, None, wakeups, Presence(), NO_INQUIRIES, asyncio.Event(), 1.0, NO_REVOCATIONS
    )
    watch = handler.watch(NODE)
    assert [await anext(watch) for _ in range(20)] == [Idle()] * 20
    assert looks == [1]
    await watch.aclose()


async def test_what_stays_owed_is_sent_again_unless_it_is_just_coming_in(worker, monkeypatch):
    monkeypatch.setattr(handlers, "_IDLE_S", 0.01)
    monkeypatch.setattr(handlers, "_SEND_AGAIN_S", -1.0)
    presence = Presence()
    handler, _ = node_handler(worker, presence)
    watch = handler.watch(NODE)
    assert [await anext(watch) for _ in range(5)] == [Idle(), *OWED.values()]
    again = [await anext(watch) for _ in range(4)]
    assert again == [Idle(), OWED["offer", "j1", 1], OWED["open", "j2", 1], OWED["completion", "j3", 1]]
    with presence.upload(str(NODE), "j2"):
        others = [Idle(), OWED["offer", "j1", 1], OWED["completion", "j3", 1]]
        assert [await anext(watch) for _ in range(3)] == others
    await watch.aclose()
    assert not presence.connected(str(NODE))
