"""Parties that play two brokers on one store off against each other: everything is sent to both at once.

The transactions of both come one after the other, so what counts twice at neither counts twice at both.
"""

import gc
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.broker import DrivenJobs
from support.postgres import ON_POSTGRESQL, PASSWORD

from kapok.broker.computation.context import Context
from kapok.broker.revoking import Revoking
from kapok.broker.settings import Limits
from kapok.broker.store import Store
from kapok.broker.store.schema import RevocationListRow
from kapok.errors import KapokError, Unavailable
from kapok.identity.issuing import revocation_list
from kapok.identity.revocation import RevocationList, Revocations
from kapok.wire.messages import Completion, JobState, Offer, OpenAttempt

pytestmark = pytest.mark.parametrize("place", [ON_POSTGRESQL], indirect=True)
VERBS = {
    "submit",
    "consent",
    "refuse",
    "seal",
    "release",
    "steer",
    "acknowledge",
    "cancel",
    "tick",
    "fold_all",
}


class Both:
    """Two brokers' logic as one: a call that changes something is made at both in the same instant.

    Attributes:
        outcomes: Of each call of `at_once`, what each broker answered or raised.
    """

    def __init__(self, one, other):
        self._brokers = (one, other)
        self._threads = ThreadPoolExecutor(2)
        self.outcomes = []

    def __getattr__(self, verb):
        if verb not in VERBS:
            return getattr(self._brokers[len(self.outcomes) % 2], verb)
        return lambda *given: self.at_once(*((verb, given) for _ in self._brokers))

    def at_once(self, *calls):
        """Make the first call at one broker and the second at the other; the answer of who had one."""
        ready = threading.Barrier(2)

        def call(broker, verb, given):
            ready.wait(30)
            try:
                return getattr(broker, verb)(*given)
            except KapokError as error:
                return error

        pairs = zip(self._brokers, calls, strict=True)
        tasks = [self._threads.submit(call, broker, *one) for broker, one in pairs]
        found = [task.result(60) for task in tasks]
        self.outcomes.append(found)
        answers = [one for one in found if not isinstance(one, KapokError)]
        if not answers:
            raise found[0]
        return answers[0]

    def close(self):
        self._threads.shutdown()


@pytest.fixture
def two(make_world):
    """A world whose every call goes to both of two brokers; and the second one's store."""
    opened = []

    def make(**limits):
        world = make_world(limits=Limits(**limits))
        store = Store.open(world.place, PASSWORD)
        context = Context(store, world.verifier, world.clock, world.limits, connected=world.up.__contains__)
        world.jobs = Both(world.jobs, DrivenJobs(context))
        world.jobs._brokers[1].resume()
        opened.append((world.jobs, store))
        return world

    yield make
    for both, store in opened:
        both.close()
        store.close()
    gc.collect()


def test_a_whole_job_of_which_every_call_is_made_at_both_brokers_at_once(two):
    """Two submissions, consents, vectors and releases of everybody are one of each; the sum is right."""
    world = two()
    ada = world.publisher
    for _ in range(3):
        asked = ada.ask()
        world.run()
        assert ada.open(asked) == world.truth()
        assert world.history(asked) == ["opening", "completion", "summing"]
        assert world.stored_chunks()[0] == 0
        world.jobs.acknowledge(ada.name, asked.id)
        assert ada.status(asked).state is JobState.FINISHED


def test_of_two_consents_to_one_job_at_both_brokers_one_counts(two):
    """A node's newest keys, whichever they are: never an attempt with either in its roster."""
    world = two()
    ada, (ash, *others) = world.publisher, world.nodes.values()
    asked = ada.ask()
    for node in others:
        node.work(Offer)
    tokens = []
    world.jobs.consent = lambda _name, _job, token: tokens.append(token)
    for _ in range(2):
        ash.work(Offer)
    del world.jobs.consent
    assert len(set(tokens)) == 2
    world.jobs.at_once(*(("consent", (ash.name, asked.id, token)) for token in tokens))
    with world.store.snapshot() as tx:
        standing = [tx.jobs.consents(asked.id)[str(ash.name)].token]
        attempt = tx.attempts.latest(asked.id)
        seats = {seat.node: seat.consent for seat in tx.attempts.roster(attempt.id)}
    assert standing == [seats[str(ash.name)]]
    # The node that played it has the keys of the last: it consents again where the other counts.
    world.run()
    assert ada.open(asked) == world.truth()


def test_two_jobs_at_once_are_one_too_many_where_there_is_room_for_one(two):
    world = two(analyst_jobs_max=1)
    ada = world.publisher
    first, second = ada.prepare(), ada.prepare()
    world.jobs.at_once(*(("submit", (ada.name, one.token)) for one in (first, second)))
    refused = [one for one in world.jobs.outcomes[-1] if isinstance(one, Unavailable)]
    assert [one.code for one in refused] == ["too_many_jobs"]
    assert len(world.jobs.jobs(world.jobs.listed(ada.name))) == 1


def test_a_refusal_at_one_and_the_last_vector_at_the_other(two):
    """Whichever comes first, the other counts for nothing or ends the job: never a sum with one left out."""
    for _ in range(3):
        world = two()
        ada, (ash, *others) = world.publisher, world.nodes.values()
        asked = ada.ask()
        for node in world.nodes.values():
            node.work(Offer)
        for node in others:
            node.work(OpenAttempt)
        [assignment] = [one for one in ash.owed() if isinstance(one, OpenAttempt)]
        sealed = ash.sealed(assignment)
        world.jobs.at_once(
            ("seal", (ash.name, asked.id, sealed.token, sealed.chunks)),
            ("refuse", (ash.name, asked.id, ash.refusal(asked.id))),
        )
        world.run()
        status = ada.status(asked)
        assert status.state is JobState.FAILED
        assert status.error.party == str(ash.name)
        assert not any(isinstance(one, Completion) for node in world.nodes.values() for one in node.owed())


def test_what_a_broker_wrote_into_the_store_keeps_no_list_of_revocations_out(two):
    """One that is dishonest lays a list that nobody has signed, or an old one, before the others."""
    world = two()
    root, key, now = world.domain.root, world.domain.key, world.clock()

    def listed(number):
        return revocation_list(key, root.certificate, {77: now}, number=number, now=now, days=30)

    revoking = Revoking(world.context, root, Revocations(root))
    for number, forged in ((2**62, b"no list"), (2**62, listed(3))):
        with world.context.step() as step:
            step.tx.catalogue.replace_revocations(
                RevocationListRow(number=number, der=forged, received_at=now)
            )
        revoking.publish(world.publisher.name, listed(7))
        assert RevocationList.read(revoking._kept(), root).number == 7
        revoking.publish(world.publisher.name, listed(6))
        assert RevocationList.read(revoking._kept(), root).number == 7
