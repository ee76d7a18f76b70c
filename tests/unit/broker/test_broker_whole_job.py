"""One job from its submission to the opened sum; the same with the broker killed between any two steps."""

from contextlib import nullcontext, suppress

import pytest
from support.postgres import ON_POSTGRESQL

from kapok.broker.computation.states import AttemptState
from kapok.broker.store.schema import AttemptRow
from kapok.errors import NotFound
from kapok.wire.messages import Closed, JobState

pytestmark = pytest.mark.parametrize("place", ["sqlite", ON_POSTGRESQL], indirect=True)


def test_sum_is_that_of_all_contributions(world, ada):
    asked = ada.ask()
    world.run()
    assert ada.status(asked).state is JobState.SUMMED
    assert ada.open(asked) == world.truth()
    assert world.history(asked) == ["opening", "completion", "summing"]


def test_paillier_sum_is_that_of_all_contributions(world, ada, paillier_key_2048):
    asked = ada.ask(result_key=paillier_key_2048.public.encode())
    world.run()
    assert ada.open(asked, paillier_key_2048) == world.truth()


def test_vectors_of_many_chunks_fold_chunk_by_chunk(make_world):
    world = make_world()
    words = 3 * 256 * 1024 // 24
    for index, node in enumerate(world.nodes.values()):
        node.contribution = [index * 1000 + word % 7 for word in range(words)]
    asked = world.publisher.ask(words=words, word_bits=192)
    world.run()
    assert world.publisher.open(asked) == world.truth()
    assert world.stored_chunks() == (0, 5)


def test_broker_killed_after_every_step_loses_nothing(world, ada):
    asked = ada.ask()
    world.restart()
    world.run(between=world.restart)
    assert ada.open(asked) == world.truth()
    assert ada.status(asked).attempt == 1


def test_broker_killed_in_the_middle_of_folding_goes_on(make_world):
    world = make_world()
    words = 9 * 256 * 1024 // 24
    for node in world.nodes.values():
        node.contribution = [1] * words
    asked = world.publisher.ask(words=words, word_bits=192)
    for _ in range(3):
        for node in world.nodes.values():
            node.work()
    assert world.publisher.status(asked).state is JobState.RELEASING
    sealed, none = world.stored_chunks()
    assert none == 0
    assert world.jobs.fold_some(asked.id) is True
    left, folded = world.stored_chunks()
    assert 0 < 4 * folded == sealed - left < sealed
    world.restart()
    assert world.jobs.unfolded() == [asked.id]
    world.run()
    assert world.publisher.open(asked) == world.truth()


def test_a_job_that_is_under_way_has_no_sum_to_fetch_or_forget(world, ada):
    asked = ada.ask()
    nodes = list(world.nodes.values())
    for _ in range(3):
        for take in (
            lambda: world.jobs.evidence(ada.name, asked.id),
            lambda: world.jobs.sum_chunk(ada.name, asked.id, 0),
            lambda: world.jobs.acknowledge(ada.name, asked.id),
        ):
            with pytest.raises(NotFound) as caught:
                take()
            assert caught.value.code == "no_sum_yet"
        for node in nodes:
            node.work()
    world.run()
    assert ada.open(asked) == world.truth()


def test_sealed_vectors_are_deleted_with_the_attempt_and_the_sum_when_it_is_acknowledged(world, ada):
    asked = ada.ask()
    world.run()
    assert world.stored_chunks() == (0, 2)
    ada.open(asked)
    world.jobs.acknowledge(ada.name, asked.id)
    world.jobs.acknowledge(ada.name, asked.id)
    assert world.stored_chunks() == (0, 0)
    assert ada.status(asked).state is JobState.FINISHED
    with pytest.raises(NotFound, match="keeps no sum") as caught:
        world.jobs.evidence(ada.name, asked.id)
    assert caught.value.code == "sum_gone"


def test_status_says_who_is_waited_for_at_each_stage(world, ada):
    names = tuple(world.nodes)
    nodes = list(world.nodes.values())
    asked = ada.ask()
    first = ada.status(asked)
    assert (first.state, first.waiting_for, first.roster, first.attempt) == (
        JobState.GATHERING,
        names,
        (),
        0,
    )
    assert first.specification == asked.token
    nodes[0].work()
    assert ada.status(asked).waiting_for == names[1:]
    for node in nodes[1:]:
        node.work()
    opened = ada.status(asked)
    assert (opened.state, opened.waiting_for, opened.roster) == (JobState.SEALING, names, names)
    for node in nodes[:3]:
        node.work()
    part = ada.status(asked)
    assert part.waiting_for == names[3:]
    assert part.bytes_received == 3 * (3 * 8 + 16)
    nodes[3].work()
    assert (ada.status(asked).state, ada.status(asked).waiting_for) == (JobState.RELEASING, names)
    nodes[2].work()
    assert ada.status(asked).waiting_for == (names[0], names[1], names[3])
    world.run()
    assert ada.status(asked).waiting_for == ()


def test_nodes_are_told_that_a_job_is_over_for_them_and_only_for_a_day(world, ada):
    asked = ada.ask()
    world.run()
    for node in world.nodes.values():
        assert node.owed() == [Closed(asked.id)]
    world.clock.now += 86_401
    assert all(node.owed() == [] for node in world.nodes.values())


def test_everyone_concerned_is_told_of_each_change(world, ada):
    asked = ada.ask()
    assert world.announced[-1] == (frozenset(world.nodes), frozenset({asked.id}))
    world.announced.clear()
    world.run()
    assert len(world.announced) >= 12
    assert all(jobs == {asked.id} for _, jobs in world.announced)
    # Nobody is woken for what others did; all are when the attempt opens, is complete, and is summed.
    assert [nodes for nodes, _ in world.announced if nodes] == [frozenset(world.nodes)] * 3


def test_jobs_that_one_step_changes_are_told_of_in_the_order_in_which_it_did(world, ada):
    """Not in that of their ids, which are drawn: else one seed would not give one run."""
    jobs, told = sorted((ada.ask().id for _ in range(4)), reverse=True), []
    world.context._announce = lambda _nodes, changed: told.append(changed)
    with world.context.step() as step:
        for job_id in jobs:
            step.touch(step.tx.jobs.get(job_id))
    assert told == [tuple(jobs)]


def test_every_message_may_come_twice(world, ada):
    asked = ada.ask()
    assert world.jobs.submit(ada.name, asked.token) == asked.id
    nodes = list(world.nodes.values())
    for stage in range(3):
        for node in nodes:
            for assignment in node.owed():
                if stage == 0:
                    node.handle(assignment)
                    world.jobs.consent(node.name, asked.id, node.holders[asked.id].consent())
                else:
                    node.handle(assignment)
                    node.handle(assignment)
    for node in nodes:
        world.jobs.consent(node.name, asked.id, node.holders[asked.id].consent())
    world.run()
    assert ada.status(asked).attempt == 1
    assert ada.open(asked) == world.truth()
    assert world.history(asked).count("summing") == 1


@pytest.mark.parametrize("how", ["a group", "one of a group", "alone"])
def test_an_attempt_that_is_not_on_disk_leaves_its_number_and_nothing_else(world, how):
    job, ash = world.publisher.ask().id, next(iter(world.nodes))

    def opened(tx, consent):
        row = AttemptRow(
            job=job, round=1, number=1, state=str(AttemptState.OPEN), opened_at=0.0, changed_at=0.0
        )
        tx.attempts.add(row, [(ash, consent, None)])
        assert world.context.consents(tx, row.id) == (consent,)
        return row.id

    with suppress(Lost), world.store.group_commit() if how != "alone" else nullcontext():
        with suppress(Lost) if how == "one of a group" else nullcontext(), world.store.transaction() as tx:
            lost = opened(tx, "a consent that is lost")
            if how != "a group":
                raise Lost
        if how == "one of a group":
            with world.store.transaction() as tx:
                assert opened(tx, "the next") == lost or world.store.shared
        raise Lost
    with world.store.transaction() as tx:
        assert opened(tx, "the one after") == lost or world.store.shared


class Lost(Exception):
    """Nothing of it is on disk."""
