"""Attacks on expressions: one row beyond the bounds of an expression would suppress everything."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from support.answers import Analyst, Holder, spread

from kapok.computations.rows import calendars
from kapok.errors import InvalidInput

both_ways = pytest.mark.parametrize("defended", [True, False], ids=["defended", "defence removed"])


@both_ways
def test_a_value_of_one_person_from_a_date_that_leaves_the_calendar(defended, monkeypatch):
    """Past 9999-12-31 for one person's row alone, and only if her cost is above a bound, which is halved."""
    if not defended:
        monkeypatch.setattr(calendars, "_LAST_DAY", 3_000_000)
        monkeypatch.setattr(calendars, "day_number", last_day_at_most)
    target = Holder([(500, {"cost": 70}), (1, {"cost": 1234})])
    analyst = Analyst(target, [Holder(spread(40, "ward", cost=0))] * 2)
    if defended:
        with pytest.raises(InvalidInput) as refused:
            analyst.ask(past_the_calendar(1000))
        assert refused.value.code == "number_too_large"
        return
    low, high = 0, 10**6
    while low < high:
        middle = (low + high) // 2
        if analyst.ask(past_the_calendar(middle))[0]["n"] is None:
            low = middle + 1
        else:
            high = middle
    assert low == 1234


def past_the_calendar(bound):
    one_day = f"CASE WHEN person = 500 THEN LEAST(GREATEST(cost - {bound}, 0), 1) ELSE 0 END"
    return f"SELECT YEAR(DATE '9999-12-31' + {one_day}) AS y, COUNT(*) AS n FROM stays GROUP BY 1"


def last_day_at_most(days):
    return date(1970, 1, 1) + timedelta(days=min(days, 2_932_896))
