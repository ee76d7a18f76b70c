"""Who listens is woken, from any thread, and in order; who is present is counted."""

import asyncio

import pytest

from kapok.broker.presence import Presence
from kapok.broker.wakeups import Wakeups
from kapok.broker.worker import Worker
from kapok.errors import Unavailable


@pytest.fixture
def worker():
    made = Worker()
    yield made
    made.close()


async def test_those_who_listen_are_woken_from_any_thread(worker):
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


def test_waking_in_a_loop_that_is_gone_does_nothing():
    loop = asyncio.new_event_loop()
    wakeups = Wakeups(loop)
    loop.close()
    wakeups.announce({"a"}, {"b"})


def test_presence_counts_watches_and_bounds_them():
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
