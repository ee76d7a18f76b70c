"""A broker's store on PostgreSQL whose connections are reset, at any moment: it says so, and goes on."""

import asyncio
import contextlib
import gc
import threading

import pytest
from support.postgres import PASSWORD, emptied
from support.proxy import proxied
from support.stored import add_job

from kapok.broker.store import Store
from kapok.errors import Unavailable

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def _sockets_put_away():
    yield
    gc.collect()


class Line:
    """A proxy before the server, in a loop and thread of its own: what uses the store here is synchronous."""

    def __init__(self, target):
        self._target, self._stop = target, threading.Event()
        self._loop, self.proxy = None, None

    @contextlib.contextmanager
    def open(self):
        there = threading.Event()
        thread = threading.Thread(target=lambda: asyncio.run(self._run(there)))
        thread.start()
        assert there.wait(30)
        try:
            yield self
        finally:
            self._stop.set()
            thread.join(30)

    async def _run(self, there):
        self._loop = asyncio.get_running_loop()
        async with proxied(self._target) as self.proxy:
            there.set()
            await asyncio.to_thread(self._stop.wait)

    def fault(self, fault):
        done = threading.Event()

        def set_it():
            self.proxy.fault = fault
            done.set()

        self._loop.call_soon_threadsafe(set_it)
        assert done.wait(30)


@pytest.fixture
def line(postgres):
    emptied(postgres)
    with Line(f"127.0.0.1:{postgres.port}").open() as line:
        yield line


@pytest.fixture
def store(line):
    opened = Store.open(f"postgresql://kapok_reader@{line.proxy.address}/kapok_store", PASSWORD)
    yield opened
    opened.close()


def at_the_beginning(line, tx):
    line.fault("cut")
    return tx.jobs.get("a" * 64)


def before_it_is_written_down(line, tx):
    tx.jobs.get("a" * 64).attempts += 1
    line.fault("cut")


def in_its_middle(line, tx):
    tx.jobs.get("a" * 64).attempts += 1
    tx.announce({"somebody"})
    line.fault("cut")
    return tx.jobs.at_work("somebody", ("gathering",))


@pytest.mark.parametrize("moment", [at_the_beginning, in_its_middle, before_it_is_written_down])
@pytest.mark.parametrize("how", ["transaction", "group"])
def test_a_transaction_whose_connection_is_reset_is_lost_as_a_whole_and_said_to_be(line, store, moment, how):
    add_job(store)

    def lose():
        with store.group_commit() if how == "group" else contextlib.nullcontext(), store.transaction() as tx:
            moment(line, tx)

    with pytest.raises(Unavailable) as caught:
        lose()
    assert (caught.value.code, caught.value.retryable) == ("store_unavailable", True)
    with pytest.raises(Unavailable):
        lose()  # new connections are reset as well
    line.fault(None)
    with store.transaction() as tx:
        assert tx.jobs.get("a" * 64).attempts == 0


def test_a_connection_that_was_reset_while_nobody_used_it_is_replaced(line, store):
    add_job(store)
    line.fault("cut")
    line.fault(None)
    with store.snapshot() as tx:
        assert tx.jobs.get("a" * 64).attempts == 0


@pytest.mark.parametrize("how", ["reset", "silent"])
def test_a_connection_that_ends_while_a_statement_is_waited_for_is_said(line, postgres, monkeypatch, how):
    """Of this the driver says nothing in its own words: it is the socket's error that comes."""
    monkeypatch.setattr("kapok.persistence.postgres._SOCKET_S", 1 if how == "silent" else 30)
    place = f"postgresql://kapok_reader@{line.proxy.address}/kapok_store"
    store, other = Store.open(place, PASSWORD), Store.open(place, PASSWORD)
    job_id = add_job(store)
    waiting, outcome = threading.Event(), []

    def write():
        waiting.set()
        try:
            with store.transaction() as tx:
                tx.jobs.get(job_id).attempts += 1
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=write)
    with contextlib.suppress(Unavailable), other.transaction() as tx:
        tx.jobs.get(job_id)
        thread.start()
        assert waiting.wait(30)
        while not postgres_waits(postgres):
            pass
        line.fault("cut" if how == "reset" else "stall")
        thread.join(30)
    line.fault(None)
    assert [(type(one), getattr(one, "code", one)) for one in outcome] == [(Unavailable, "store_unavailable")]
    with store.transaction() as tx:
        assert tx.jobs.get(job_id).attempts == 0
    for one in (store, other):
        one.close()


def postgres_waits(server):
    """Whether somebody waits for his turn at writing."""
    with server.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory'")
        return cursor.fetchone()[0]
