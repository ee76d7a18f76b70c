"""Broker and node name things in their state machines alike: states are participles, events are nouns."""

import re

import pytest

from kapok.broker.computation.states import AttemptEvent, JobEvent
from kapok.nodes.states import Event

_NOUN = re.compile(r"\w{3,}(ing|tion|al|ment|ure|ry)|consent|release")


@pytest.mark.parametrize("event", [*JobEvent, *AttemptEvent, *Event])
def test_an_event_is_a_noun(event):
    assert _NOUN.fullmatch(event)
    assert event.name == event.value.upper()
