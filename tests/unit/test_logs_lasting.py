"""Troubles that last are told when they begin, once an hour, and when they are over."""

import logging

import pytest

from kapok.logs import lasting
from kapok.logs.lasting import Lasting


@pytest.fixture
def told(caplog):
    """A kind of trouble whose clock is set by hand, and what was written of it."""
    caplog.set_level(logging.INFO)
    now = [0.0]

    def make(**given):
        trouble = Lasting(logging.getLogger("kapok.x"), clock=lambda: now[0], **given)

        def lines():
            keys = ("unsaid", "lasted_s")
            found = [(one.getMessage(), *(getattr(one, key, None) for key in keys)) for one in caplog.records]
            caplog.clear()
            return found

        return trouble, now, lines

    return make


def test_a_night_of_tries_is_a_line_an_hour(told):
    trouble, now, lines = told()
    for second in range(8 * 3600):
        now[0] = float(second)
        trouble.tell("nobody_answers", "gone", {"what": "nobody"})
    assert lines() == [("gone", None, None), *[("gone", 3599, None)] * 7]
    trouble.over("back")
    assert lines() == [("back", 3599, 8 * 3600 - 1.0)]
    trouble.over("back")
    assert lines() == []
    trouble.tell("nobody_answers", "gone")
    assert lines() == [("gone", None, None)]


def test_another_trouble_is_told_at_once_and_the_first_not_again(told):
    trouble, _, lines = told()
    for key in "abab":
        trouble.tell(key, key)
    assert [message for message, *_ in lines()] == ["a", "b"]


def test_what_goes_well_in_between_does_not_end_it_too_early(told):
    trouble, now, lines = told(calm_s=30.0)
    for second in range(0, 100, 10):
        now[0] = float(second)
        trouble.tell("full", "full")
        trouble.over("room")
    assert [message for message, *_ in lines()] == ["full"]
    now[0] = 119.0
    trouble.over("room")
    assert lines() == []
    now[0] = 120.0
    trouble.over("room")
    assert lines() == [("room", 9, 120.0)]


def test_whoever_makes_up_keys_does_not_fill_the_memory(told, monkeypatch):
    monkeypatch.setattr(lasting, "_MOST_KEYS", 3)
    trouble, _, lines = told()
    for key in "abcd":
        trouble.tell(key, key)
        assert len(trouble._told) <= 3
    assert len(lines()) == 4


def test_an_error_is_told_with_its_level(told, caplog):
    trouble, _, _ = told()
    trouble.tell("x", "failed", level=logging.ERROR, error=ValueError("cell 4711"))
    (record,) = caplog.records
    assert (record.levelname, record.exc_info[0]) == ("ERROR", ValueError)
    assert record.filename == "test_logs_lasting.py"
