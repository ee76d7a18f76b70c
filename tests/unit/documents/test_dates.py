"""Dates and timestamps as whole numbers, there and back."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kapok.documents.dates import date_of, days_of, seconds_of, timestamp_of
from kapok.errors import InvalidInput


@given(st.dates())
def test_a_date_comes_back(day: datetime.date) -> None:
    assert date_of(days_of(day.isoformat())) == day.isoformat()


@given(st.datetimes())
def test_a_timestamp_comes_back(moment: datetime.datetime) -> None:
    text = moment.replace(microsecond=0).isoformat()
    assert timestamp_of(seconds_of(text)) == text


def test_steps_are_those_of_unix_time() -> None:
    assert seconds_of("2013-01-31T05:00:00") == 1_359_608_400
    assert days_of("2013-01-31") == 1_359_608_400 // 86_400
    assert seconds_of("1969-12-31T23:59:59") == -1


@pytest.mark.parametrize("text", ["2013-1-31", "2013-01-31 ", "2013-01-31\n", "2013-13-01", "x" * 10_000])
def test_another_form_is_refused_without_being_quoted(text: str) -> None:
    for read in (days_of, seconds_of):
        with pytest.raises(InvalidInput) as caught:
            read(text)
        assert caught.value.code == "bad_date"
        assert len(caught.value.message) < 80
