"""What Python shows of an error where nobody catches it."""

import traceback

import pytest

from kapok.errors import InvalidInput, NotFound


def test_a_traceback_says_what_to_do():
    with pytest.raises(NotFound) as caught:
        raise NotFound("there is no such table", remedy="name another\x1b[2J", party="clinic")
    said = traceback.format_exception_only(caught.value)
    assert said[0] == "kapok.errors.NotFound: there is no such table\n"
    assert said[1:] == ["  party: clinic\n", "  what to do: name another\\u001b[2J\n"]


def test_what_others_note_is_kept_beside_it():
    """As Hypothesis does, which names the example that failed."""
    error = InvalidInput("there is no file", remedy="name another")
    error.add_note("the example that failed")
    assert error.__notes__ == ["  what to do: name another", "the example that failed"]
