"""Cancellation, and whose job it is."""

import pytest

from kapok.errors import InvalidInput, NotFound
from kapok.wire.messages import Closed, JobState


def hospitals(world):
    return list(world.nodes.values())


@pytest.mark.parametrize("stages", range(4))
def test_a_job_is_cancelled_at_any_stage_and_its_nodes_are_told(world, ada, stages):
    asked = ada.ask()
    for _ in range(stages):
        for node in hospitals(world):
            node.work()
    world.jobs.fold_all()
    world.jobs.cancel(ada.name, asked.id)
    world.jobs.cancel(ada.name, asked.id)
    assert ada.status(asked).state is JobState.CANCELLED
    assert world.stored_chunks() == (0, 0)
    assert all(node.owed() == [Closed(asked.id)] for node in hospitals(world))


def test_an_ended_job_is_not_cancelled(world, ada):
    asked = ada.ask()
    world.run()
    world.jobs.acknowledge(ada.name, asked.id)
    with pytest.raises(InvalidInput) as caught:
        world.jobs.cancel(ada.name, asked.id)
    assert caught.value.code == "job_ended"


def test_nobody_sees_or_touches_anothers_job(world, ada, another):
    asked = ada.ask()
    world.run()
    eve = another("university", "eve")
    for verb in (world.jobs.job, world.jobs.cancel, world.jobs.evidence, world.jobs.acknowledge):
        with pytest.raises(NotFound) as caught:
            verb(eve.name, asked.id)
        assert caught.value.code == "unknown_job"
    with pytest.raises(NotFound):
        world.jobs.sum_chunk(eve.name, asked.id, 0)
    assert world.jobs.jobs(world.jobs.listed(eve.name)) == []
    assert ada.open(asked) == world.truth()


def test_an_operator_sees_all_jobs_and_changes_none(world, ada):
    operator = world.domain.credentials("university", "operator", "olga").name
    first, second = ada.ask(), ada.ask()
    assert [status.job_id for status in world.jobs.jobs(world.jobs.listed(operator))] == [second.id, first.id]
    assert world.jobs.job(operator, first.id).state is JobState.GATHERING
    with pytest.raises(NotFound):
        world.jobs.cancel(operator, first.id)
