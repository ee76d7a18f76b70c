"""What Python shows of an error where nobody catches it."""

import traceback

import pytest

from kapok.errors import NotFound


def test_a_traceback_says_what_to_do():
    with pytest.raises(NotFound) as caught:
        raise NotFound("there is no such table", remedy="name another\x1b[2J", party="clinic")
    said = traceback.format_exception_only(caught.value)
    assert said[0] == "kapok.errors.NotFound: there is no such table\n"
    assert said[1:] == ["  party: clinic\n", "  what to do: name another\\u001b[2J\n"]
