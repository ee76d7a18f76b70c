"""The worker's thread: order, calls done together, and what fails for whom."""

import asyncio
import contextlib
import threading

import pytest

from kapok import logs
from kapok.broker import worker as worker_module
from kapok.broker.worker import Batcher, Worker
from kapok.errors import Unavailable
from kapok.wire.shares import calling


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


@pytest.fixture
def unhurried(monkeypatch):
    """Groups end by their number of calls alone."""
    monkeypatch.setattr(worker_module, "_LONGEST_TOGETHER_S", 3600.0)


async def test_calls_that_wait_are_done_together_and_each_has_its_own_answer_or_error(unhurried):
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


@pytest.mark.parametrize("begins", [True, False])
async def test_where_nothing_was_written_down_every_one_of_them_is_told(unhurried, begins):
    @contextlib.contextmanager
    def group_commit():
        if begins:
            yield
        raise Unavailable("disk full", code="store_unavailable")

    worker = Worker(group_commit)
    with held(worker):
        await asyncio.sleep(0)
        asked = [asyncio.ensure_future(worker.run(int, text)) for text in ("1", "x", "3")]
        await asyncio.sleep(0)
    answers = await asyncio.gather(*asked, return_exceptions=True)
    told = [Unavailable, ValueError, Unavailable] if begins else [Unavailable] * 3
    assert [type(one) for one in answers] == told
    worker.close()


async def asked_as(organisation, work):
    """Done as for a call of that organisation, as `kapok.wire.gate` says whose it is."""
    calling.set(organisation)
    return await work


async def test_whoever_asks_for_much_waits_for_itself(worker, unhurried):
    """The calls of one organisation are done in their order, and one of each other before each next."""
    done = []
    with held(worker):
        await asyncio.sleep(0)
        asked = [("clinic", f"c{number}") for number in range(6)]
        asked += [("lab", "l0"), ("", "own"), ("lab", "l1"), ("office", "o0")]
        tasks = [asyncio.create_task(asked_as(whose, worker.run(done.append, what))) for whose, what in asked]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert done == ["c0", "l0", "own", "o0", "c1", "l1", "c2", "c3", "c4", "c5"]


async def test_long_work_is_not_waited_for_by_those_whose_own_is_done():
    """A group is answered when it is on disk: one that has taken long takes no more calls."""
    groups, now = [], [0.0]

    @contextlib.contextmanager
    def group_commit():
        groups.append([])
        yield

    def work(number, takes_s):
        now[0] += takes_s
        groups[-1].append(number)

    worker, loop = Worker(group_commit), asyncio.get_running_loop()
    with held(worker), pytest.MonkeyPatch.context() as patched:
        patched.setattr(loop, "time", lambda: now[0])
        await asyncio.sleep(0)
        takes = (0.02, 0.02, 0.02, 0.3, 0.0, 0.0)
        tasks = [asyncio.ensure_future(worker.run(work, *one)) for one in enumerate(takes)]
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert groups == [[0, 1, 2], [3], [4, 5]]
    worker.close()


async def test_what_waits_when_the_worker_is_closed_ends():
    worker = Worker()
    with held(worker):
        await asyncio.sleep(0)
        waiting = [asyncio.ensure_future(worker.run(int)) for _ in range(3)]
        await asyncio.sleep(0)
        closing = asyncio.create_task(asyncio.to_thread(worker.close))
        await asyncio.sleep(0.05)
    await closing
    ends = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(one) for one in ends} <= {int, asyncio.CancelledError}


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
    def group_commit():
        if away:
            raise Unavailable("no connection", code="store_unavailable")
        yield

    worker = Worker(group_commit)
    batcher = Batcher(worker, dict)
    with held(worker):
        await asyncio.sleep(0)
        asked = [asyncio.ensure_future(batcher.of(name, 1)) for name in ("a", "b")]
        asked.append(asyncio.ensure_future(worker.run(int, "7")))
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # What the two want is asked for by a task of its own.
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(one) for one in answers] == [Unavailable] * 3
    away = False
    assert await batcher.of("c", 2) == 2
    worker.close()
