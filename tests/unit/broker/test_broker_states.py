"""The transition tables: every state is reached, final ones are final, other events change nothing."""

import itertools

import pytest

from kapok.broker.computation import states
from kapok.broker.computation.endings import move_attempt, move_job
from kapok.broker.computation.states import (
    ATTEMPT_TRANSITIONS,
    ENDED,
    FIRST_ATTEMPT_STATE,
    FIRST_JOB_STATE,
    LIVE,
    TRANSITIONS,
    AttemptEvent,
    AttemptState,
    JobEvent,
    JobState,
    next_attempt_state,
    next_job_state,
)
from kapok.errors import LocalProtocolError

JOB_PAIRS = list(itertools.product(JobState, JobEvent))
ATTEMPT_PAIRS = list(itertools.product(AttemptState, AttemptEvent))


def reached(first, table):
    found, waiting = {first}, [first]
    while waiting:
        state = waiting.pop()
        for (source, _), target in table.items():
            if source == state and target not in found:
                found.add(target)
                waiting.append(target)
    return found


def test_every_state_can_be_reached():
    assert reached(FIRST_JOB_STATE, TRANSITIONS) == set(JobState)
    assert reached(FIRST_ATTEMPT_STATE, ATTEMPT_TRANSITIONS) == set(AttemptState)


def test_every_event_occurs():
    assert {event for _, event in TRANSITIONS} == set(JobEvent)
    assert {event for _, event in ATTEMPT_TRANSITIONS} == set(AttemptEvent)


def test_exactly_the_ended_states_are_final():
    assert set(JobState) - {source for source, _ in TRANSITIONS} == ENDED


def test_every_state_that_is_not_final_can_end():
    for state in set(JobState) - ENDED:
        assert reached(state, TRANSITIONS) & ENDED


def test_a_live_job_fails_at_its_deadline_and_no_other_does():
    assert {source for source, event in TRANSITIONS if event is JobEvent.FAILURE} == LIVE


def test_nothing_voids_a_complete_attempt():
    sources = {source for source, event in ATTEMPT_TRANSITIONS if event is AttemptEvent.VOIDING}
    assert sources == {AttemptState.OPEN}
    assert AttemptState.OPEN not in reached(AttemptState.COMPLETE, ATTEMPT_TRANSITIONS)
    # A job goes on from there with another round, and that begins with the analyst's parameters.
    out_of_releasing = {target for (source, _), target in TRANSITIONS.items() if source is JobState.RELEASING}
    assert out_of_releasing.isdisjoint({JobState.SEALING, JobState.GATHERING})
    into_later_rounds = {
        source for (source, event), _ in TRANSITIONS.items() if event is JobEvent.CONTINUATION
    }
    assert into_later_rounds == {JobState.STEERING}


@pytest.mark.parametrize(("state", "event"), JOB_PAIRS)
def test_a_job_goes_where_the_table_says_or_nowhere(state, event):
    if (state, event) in TRANSITIONS:
        assert next_job_state(state, event) is TRANSITIONS[state, event]
        return
    with pytest.raises(LocalProtocolError) as caught:
        next_job_state(state, event)
    assert caught.value.code == "illegal_event"


@pytest.mark.parametrize(("state", "event"), ATTEMPT_PAIRS)
def test_an_attempt_goes_where_the_table_says_or_nowhere(state, event):
    if (state, event) in ATTEMPT_TRANSITIONS:
        assert next_attempt_state(state, event) is ATTEMPT_TRANSITIONS[state, event]
        return
    with pytest.raises(LocalProtocolError) as caught:
        next_attempt_state(state, event)
    assert caught.value.code == "illegal_event"


def test_an_illegal_event_leaves_stored_job_and_attempt_as_they_were(world, ada):
    asked = ada.ask()
    world.run()
    with pytest.raises(LocalProtocolError), world.context.step() as step:
        move_job(step, step.tx.jobs.get(asked.id), JobEvent.COMPLETION)
    with pytest.raises(LocalProtocolError), world.context.step() as step:
        move_attempt(step, step.tx.attempts.latest(asked.id), AttemptEvent.VOIDING)
    assert ada.status(asked).state is JobState.SUMMED
    assert world.history(asked) == ["opening", "completion", "summing"]
    with world.store.snapshot() as tx:
        assert tx.attempts.latest(asked.id).state == AttemptState.RELEASED


def test_the_tables_are_explained_above_them():
    for word in (*JobState, *AttemptState):
        assert word in (states.__doc__ or "")
