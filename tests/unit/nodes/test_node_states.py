"""The transition table: an event that it does not have is refused by name, and changes nothing."""

import itertools

import pytest

from kapok.errors import LocalProtocolError
from kapok.nodes.journal import Decision
from kapok.nodes.states import TRANSITIONS, Event, NodeJobState, after


def test_every_state_and_every_event_occurs():
    assert {NodeJobState.OFFERED, *TRANSITIONS.values()} == set(NodeJobState)
    assert {event for _, event in TRANSITIONS} == set(Event)


@pytest.mark.parametrize(("state", "event"), list(itertools.product(NodeJobState, Event)))
def test_an_event_that_the_table_does_not_have_is_refused(state, event):
    if (state, event) in TRANSITIONS:
        assert after(state, event) is TRANSITIONS[state, event]
        return
    with pytest.raises(LocalProtocolError) as caught:
        after(state, event)
    assert caught.value.code == "wrong_state"
    assert state in caught.value.message
    assert event in caught.value.message


def test_the_journal_keeps_the_state_of_a_job_that_an_event_cannot_happen_to(world, make_rule):
    node, job = world.nodes["a"], world.job("SELECT COUNT(*) FROM clinic")
    job.run()
    assert node.journal.job(job.id).state is NodeJobState.RELEASED
    with pytest.raises(LocalProtocolError) as caught:
        node.journal.defer(job.id, specification="x", decision=Decision(make_rule(), 1, 1))
    assert caught.value.code == "wrong_state"
    kept = node.journal.job(job.id)
    assert kept.state is NodeJobState.RELEASED
    assert kept.specification == job.token
