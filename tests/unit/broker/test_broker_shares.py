"""What one analyst may take: open jobs, and those that nodes are asked for at a time."""

import pytest

from kapok.broker.settings import Limits
from kapok.errors import TimedOut, Unavailable
from kapok.protocols.wraps import WrapKey
from kapok.wire.messages import Completion, JobState, Offer, OpenAttempt


@pytest.fixture
def narrow(make_world):
    """A broker where two jobs of an analyst are at work at a time."""
    return make_world(limits=Limits(jobs_at_work_max=2, consent_grace_s=30))


def offered(node) -> list[str]:
    """What a node is asked to consent to, in this order."""
    return [key[1] for key in node.world.jobs.owed(str(node.name)) if key[0] == "offer"]


def test_of_many_jobs_of_one_analyst_nodes_are_asked_for_some_at_a_time(narrow):
    ada, ash = narrow.publisher, next(iter(narrow.nodes.values()))
    first, second, third, fourth = (ada.ask() for _ in range(4))
    assert offered(ash) == [first.id, second.id]
    assert [ada.status(one).turn_after for one in (first, second, third, fourth)] == [0, 0, 2, 3]
    assert ada.status(third).waiting_for == ()
    narrow.announced.clear()
    ada.world.jobs.cancel(ada.name, second.id)
    assert offered(ash) == [first.id, third.id]
    assert frozenset(narrow.nodes) in [nodes for nodes, _ in narrow.announced]
    assert [ada.status(one).turn_after for one in (third, fourth)] == [0, 2]
    narrow.run()
    for asked in (first, third, fourth):
        assert ada.open(asked) == narrow.truth()


def test_the_nodes_take_organisations_and_analysts_in_turns_and_not_first_come(make_world, another):
    world = make_world(limits=Limits(jobs_at_work_max=3))
    ada, ash = world.publisher, next(iter(world.nodes.values()))
    many = [ada.ask() for _ in range(20)]
    bob, eve = another("university", "bob", world), another("institute", "eve", world)
    one, other = bob.ask(), eve.ask()
    assert offered(ash) == [many[0].id, other.id, one.id, many[1].id, many[2].id]


def test_an_organisation_of_many_analysts_has_one_turn_as_every_other(make_world, another):
    world = make_world()
    ash = next(iter(world.nodes.values()))
    greedy = [another("university", name, world) for name in ("ada", "ann", "ash", "art")]
    first, second = [[one.ask() for one in greedy] for _ in range(2)]
    modest = another("institute", "bob", world).ask()
    assert offered(ash) == [one.id for one in (first[0], modest, *first[1:], *second)]


def test_a_question_beside_five_hundred_of_another_analyst_is_answered_before_they_are(make_world, another):
    """Whoever asks too much waits: for room to submit, and for a turn. The other waits for neither."""
    world = make_world(limits=Limits(jobs_at_work_max=2, analyst_jobs_max=32))
    greedy, modest = world.publisher, another("institute", "bob", world)
    nodes = list(world.nodes.values())
    kept, refused, receiver = [], [], WrapKey.generate()
    for _ in range(500):
        asked = greedy.prepare(receiver=receiver)
        try:
            world.jobs.submit(greedy.name, asked.token)
            kept.append(asked)
        except Unavailable as error:
            refused.append((error.code, error.clause, error.retry_after_s))
    assert (len(kept), len(refused)) == (32, 468)
    assert set(refused) == {("too_many_jobs", "limits.analyst_jobs_max", 2.0)}
    asked = modest.ask()
    for kind in (Offer, OpenAttempt, Completion):
        for node in nodes:
            node.work(kind)
        world.jobs.fold_all()
    assert modest.open(asked) == world.truth()
    states = [greedy.status(one).state for one in kept]
    assert states.count(JobState.GATHERING) >= 30 - 2
    # There is room again when one has ended; known jobs may always be sent again.
    assert world.jobs.submit(greedy.name, kept[3].token) == kept[3].id
    world.jobs.cancel(greedy.name, kept[-1].id)
    greedy.ask()


def test_an_organisation_has_its_own_bound_beside_those_of_its_analysts(make_world, another):
    world = make_world(limits=Limits(open_jobs_max=3, analyst_jobs_max=2))
    ada, bob = world.publisher, another("university", "bob", world)
    eve = another("lab", "eve", world)
    ada.ask(), ada.ask()
    with pytest.raises(Unavailable) as caught:
        ada.ask()
    assert caught.value.clause == "limits.analyst_jobs_max"
    bob.ask()
    with pytest.raises(Unavailable) as caught:
        bob.ask()
    assert (caught.value.code, caught.value.clause) == ("too_many_jobs", "limits.open_jobs_max")
    eve.ask()


def test_the_time_to_gather_begins_with_the_turn(narrow):
    ada = narrow.publisher
    first, second = ada.ask(), ada.ask()
    late = ada.ask(at_least=3)
    narrow.clock.now += 31
    narrow.jobs.tick()
    narrow.jobs.cancel(ada.name, first.id)
    _, *others = narrow.nodes.values()
    for node in others:
        node.work(Offer)
    narrow.jobs.tick()
    assert ada.status(late).state is JobState.GATHERING
    narrow.clock.now += 31
    narrow.jobs.tick()
    assert (ada.status(late).state, len(ada.status(late).roster)) == (JobState.SEALING, 3)
    assert ada.status(second).state is JobState.GATHERING


def test_a_job_whose_deadline_passed_before_its_turn_says_so(narrow):
    ada = narrow.publisher
    ada.ask(), ada.ask()
    late = ada.ask(deadline=int(narrow.clock()) + 60)
    narrow.clock.now += 61
    narrow.jobs.tick()
    error = ada.status(late).error
    assert (type(error), error.code, error.party) == (TimedOut, "deadline_passed", None)
    assert "2 earlier jobs of yours" in error.message
    assert "--deadline" in error.remedy


def test_turns_outlive_a_restart_and_more_are_given_where_the_bound_was_raised(narrow):
    ada, ash = narrow.publisher, next(iter(narrow.nodes.values()))
    asked = [ada.ask() for _ in range(4)]
    narrow.restart()
    assert offered(ash) == [one.id for one in asked[:2]]
    narrow.limits = Limits(jobs_at_work_max=3)
    narrow.restart()
    assert offered(ash) == [one.id for one in asked[:3]]


def test_nobody_is_woken_before_what_happened_is_on_disk(narrow):
    """Who is woken looks at once; found it the state of before, it would look again only after a minute."""
    ash = next(iter(narrow.nodes.values()))
    with narrow.store.group_commit():
        narrow.announced.clear()
        asked = narrow.publisher.ask()
        assert (offered(ash), narrow.announced) == ([], [])
    assert (offered(ash), len(narrow.announced)) == ([asked.id], 1)


def test_jobs_that_are_asked_and_cancelled_fill_no_disk(make_world, another):
    """An analyst asks and cancels without end: what an answer rests on stays, the junk does not."""
    world = make_world(limits=Limits(kept_jobs_max=30))
    ada, receiver = world.publisher, WrapKey.generate()
    answered = ada.ask()
    world.run()
    world.jobs.acknowledge(ada.name, answered.id)
    bob = another("institute", "bob", world)
    other = bob.ask()
    for _ in range(120):
        asked = ada.prepare(receiver=receiver)
        world.jobs.submit(ada.name, asked.token)
        world.jobs.cancel(ada.name, asked.id)
    kept = world.jobs.listed(ada.name)
    assert len(kept) <= 30 + 20
    assert {answered.id, asked.id} <= set(kept)
    assert world.jobs.job(ada.name, answered.id).state is JobState.FINISHED
    assert bob.status(other).state is JobState.GATHERING
