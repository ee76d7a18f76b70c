"""Dates and moments that are moved: never beyond the calendar, and their bounds are those of their rows."""

from __future__ import annotations

from datetime import date

import pytest

from kapok.computations.query.reading import read_question
from kapok.computations.rows.calendars import day_number
from kapok.documents.dataset import Column, Dataset
from kapok.errors import InvalidInput

FIRST_DAY, LAST_DAY = -719_162, 2_932_896
STAYS = Dataset(
    name="stays",
    rows_max=1000,
    columns=(
        Column(name="d", type="date", minimum="2000-01-01", maximum="2020-12-31"),
        Column(name="t", type="timestamp", minimum="2000-01-01T00:00:00", maximum="2020-12-31T23:59:59"),
        Column(name="last", type="timestamp", minimum="9999-12-31T00:00:00", maximum="9999-12-31T23:59:59"),
        Column(name="x", type="integer", minimum=0, maximum=100),
    ),
)


def test_a_number_is_a_day_of_the_calendar_or_none():
    assert day_number(FIRST_DAY) == date(1, 1, 1)
    assert day_number(LAST_DAY) == date(9999, 12, 31)
    for days in (FIRST_DAY - 1, LAST_DAY + 1):
        with pytest.raises(OverflowError):
            day_number(days)


@pytest.mark.parametrize(
    "moved",
    [
        "d + 2914270",  # 2020-12-31 becomes 10000-01-01
        "d - 730120",  # 2000-01-01 becomes the day before 0001-01-01
        "d + 2914170 + x",
        "CASE WHEN x = 77 THEN d + 2914270 ELSE d END",
        "t + INTERVAL 2914270 DAY",
        "t - INTERVAL 730120 DAY",
        "last + INTERVAL 1 SECOND",
        "DATE '9999-12-31' + 1",
    ],
)
def test_a_date_that_could_leave_the_calendar_is_refused(moved):
    with pytest.raises(InvalidInput) as refused:
        read_question(f"SELECT COUNT(DISTINCT YEAR({moved})) FROM stays", STAYS)
    assert refused.value.code == "number_too_large"
    assert "0001-01-01" in refused.value.remedy


@pytest.mark.parametrize(
    "moved",
    [
        "d + 2914269",
        "d - 730119",
        "t + INTERVAL 2914269 DAY",
        "t - INTERVAL 730119 DAY",
        "last - INTERVAL 1 DAY",
        "last + INTERVAL 0 DAY",
    ],
)
def test_the_first_and_the_last_day_are_in_the_calendar(moved):
    assert read_question(f"SELECT COUNT(*) FROM stays WHERE YEAR({moved}) = 2000", STAYS)
