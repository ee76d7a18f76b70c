"""What several broker processes need of their store: turns at writing, leases, wake-ups, plain errors."""

import contextlib
import gc
import threading
import time

import pytest
from support.broker import stored_chunks
from support.postgres import PASSWORD, emptied
from support.stored import ORGANISATION, add_attempt, add_job, add_vector

from kapok.broker.store import Store
from kapok.broker.store.schema import InquiryRow
from kapok.errors import InvalidInput, Unavailable

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def _sockets_put_away():
    """pg8000 leaves sockets of connections that the server has ended to the collector: it comes here."""
    yield
    gc.collect()


def test_uploads_are_forgotten_with_the_process_that_took_them_and_counted_vectors_stay(store):
    attempt_id = add_attempt(store, add_job(store))
    add_vector(store, attempt_id, "n1", [b"a"])
    gone = add_vector(store, attempt_id, "n2", [b"b"], counted=False)
    here = add_vector(store, attempt_id, "n3", [b"c"], counted=False)
    with store.transaction() as tx:
        for broker, vector in (("gone", gone), ("here", here)):
            tx.brokers.seen(broker)
            tx.vectors.get(vector).broker = broker
    with store.transaction() as tx:
        assert tx.brokers.delete_orphans() == 0
        tx.brokers.forget(tx.brokers.others("here"))
        assert tx.brokers.delete_orphans() == 1
    assert stored_chunks(store) == (2, 0)


def test_a_lease_has_one_holder_and_ends_with_it(store):
    with store.transaction() as tx:
        assert not tx.brokers.take("clock", "ash")  # nobody has seen it
        tx.brokers.seen("ash")
        tx.brokers.seen("birch")
        assert tx.brokers.take("clock", "ash")
        assert tx.brokers.take("clock", "ash")
        assert not tx.brokers.take("clock", "birch")
        assert tx.brokers.taken_elsewhere("birch") == {"clock"}
        assert tx.brokers.taken_elsewhere("ash") == set()
    with store.transaction() as tx:
        tx.brokers.forget(["ash"])
        assert tx.brokers.take("clock", "birch")
        tx.brokers.give_back("clock")
        assert tx.brokers.taken_elsewhere("ash") == set()


def test_who_is_connected_to_which_process(store):
    with store.transaction() as tx:
        for broker in ("ash", "birch"):
            tx.brokers.seen(broker)
        tx.brokers.present("ash", {"n1", "n2"})
        tx.brokers.present("birch", {"n2", "n3"})
        assert tx.brokers.present_elsewhere("ash") == {"n2", "n3"}
        tx.brokers.present("birch", {"n4"})
        assert tx.brokers.present_elsewhere("ash") == {"n4"}
        tx.brokers.forget(["birch"])
        assert tx.brokers.present_elsewhere("ash") == frozenset()


def test_an_inquiry_is_there_until_it_is_closed(store):
    with store.transaction() as tx:
        tx.brokers.seen("ash")
        tx.inquiries.open(
            InquiryRow(id="i" * 64, broker="ash", organisation=ORGANISATION, token="t"), {"n1", "n2"}
        )
    with store.transaction() as tx:
        assert tx.inquiries.owed_by(["n1"]) == {"n1": {"i" * 64: "t"}}
        assert (tx.inquiries.count(ORGANISATION), tx.inquiries.count("other"), tx.inquiries.count()) == (
            1,
            0,
            1,
        )
        tx.inquiries.asked("i" * 64, "n1").opinion = "yes"
    with store.transaction() as tx:
        assert tx.inquiries.owed_by(["n1"]) == {"n1": {}}
        assert tx.inquiries.opinions("i" * 64) == {"n1": "yes", "n2": None}
        tx.inquiries.close("i" * 64)
    with store.snapshot() as tx:
        assert tx.inquiries.get("i" * 64) is None
        assert tx.inquiries.owed_by(["n2"]) == {"n2": {}}


def test_transactions_that_write_come_one_after_the_other_and_readers_do_not_wait(place, store):
    """Two processes on one store: neither sees half of what the other does, and no change is lost."""
    other = Store.open(place, PASSWORD)
    job_id = add_job(store)

    def count_up(mine):
        for _ in range(10):
            with mine.transaction() as tx:
                job = tx.jobs.get(job_id)
                job.attempts, seen = job.attempts + 1, job.attempts
                with store.snapshot() as reading:
                    assert reading.jobs.get(job_id).attempts == seen

    threads = [threading.Thread(target=count_up, args=(one,)) for one in (store, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    with other.snapshot() as tx:
        assert tx.jobs.get(job_id).attempts == 20
    other.close()


def test_what_one_process_announces_another_hears_once_it_is_on_disk(postgres):
    place = emptied(postgres)
    speaking, hearing = Store.open(place, PASSWORD), Store.open(place, PASSWORD)
    heard, told = [], threading.Event()
    names = {f"spiffe://kapok.test/org/{'o' * 200}/node/{number}" for number in range(200)}

    def note(keys):
        heard.append(keys)
        told.set()

    with hearing.heard(note):
        assert told.wait(10)
        assert heard == [None]  # from here on nothing is missed
        with contextlib.suppress(KeyError), speaking.transaction() as tx:
            tx.announce({"never"})
            raise KeyError
        with speaking.transaction() as tx:
            tx.announce(names)
        end = time.monotonic() + 10
        while set().union(*heard[1:]) != names and time.monotonic() < end:
            told.clear()
            told.wait(0.1)
        assert set().union(*heard[1:]) == names
        postgres.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE query IN ('SELECT 1', 'LISTEN kapok_broker')"
        )
        while None not in heard[1:] and time.monotonic() < end:
            told.clear()
            told.wait(0.1)
        assert None in heard[1:]  # it listens again, and says that it may have missed something
    speaking.close()
    hearing.close()


def test_a_transaction_that_stands_still_does_not_hold_up_the_others(postgres):
    """A process that is stopped in a transaction loses it, and with it the writers' lock."""
    place = emptied(postgres)
    frozen, other = Store.open(place, PASSWORD), Store.open(place, PASSWORD)
    add_job(other)

    def stand_still():
        with frozen.transaction() as tx:
            tx.jobs.get("a" * 64).state = "failed"
            postgres.run(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE state = 'idle in transaction' AND application_name = 'kapok'"
            )
            with other.transaction() as second:
                assert second.jobs.get("a" * 64).state == "gathering"

    with pytest.raises(Unavailable):
        stand_still()
    with frozen.transaction() as tx:
        assert tx.jobs.get("a" * 64).state == "gathering"
    frozen.close()
    other.close()


@pytest.mark.parametrize(
    ("user", "database", "password", "code"),
    [
        ("kapok_reader", "kapok_store", "wrong", "database_refused"),
        ("kapok_reader", "nowhere", PASSWORD, "database_refused"),
        ("kapok_reader", "kapok_store", None, "database_refused"),
    ],
)
def test_who_is_not_let_in_is_told_why_without_the_password(postgres, user, database, password, code):
    emptied(postgres)
    with pytest.raises(InvalidInput) as caught:
        Store.open(f"postgresql://{user}@127.0.0.1:{postgres.port}/{database}", password)
    assert caught.value.code == code
    assert PASSWORD not in caught.value.diagnostics()


def test_a_server_that_does_not_answer_is_unavailable():
    with pytest.raises(Unavailable) as caught:
        Store.open("postgresql://kapok@127.0.0.1:1/kapok", PASSWORD)
    assert caught.value.code == "database_unavailable"
