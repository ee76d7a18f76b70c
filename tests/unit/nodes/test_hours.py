"""When questions are taken, in the holder's time zone: windows of the week, midnights, daylight saving."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from kapok.errors import InvalidInput
from kapok.nodes.hours import Window, first_second_of_day, is_open, next_day, next_opening, time_zone

BERLIN = ZoneInfo("Europe/Berlin")
OFFICE = [Window.parse("mon-fri 08:00-18:00")]


def at(text: str, zone=BERLIN) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


@pytest.mark.parametrize(
    ("text", "days", "begin", "end"),
    [
        ("mon-fri 08:00-18:00", {0, 1, 2, 3, 4}, 480, 1080),
        ("sat,sun 10:00-24:00", {5, 6}, 600, 1440),
        ("fri-mon 00:00-00:01", {4, 5, 6, 0}, 0, 1),
        ("mon,wed-thu 22:30-23:59", {0, 2, 3}, 1350, 1439),
        ("wed-wed 00:00-24:00", {2}, 0, 1440),
    ],
)
def test_a_window_is_days_and_times(text, days, begin, end):
    assert Window.parse(text) == Window(frozenset(days), begin, end)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "always",
        "mon-fri",
        "mon-fri 8:00-18:00",
        "mon-fri 08:00-25:00",
        "mon-fri 08:60-18:00",
        "mon-fri 08:00-24:01",
        "Mon-Fri 08:00-18:00",
        "mon-mo 08:00-18:00",
        "mon, fri 08:00-18:00",
        "mon--fri 08:00-18:00",
        "mon-fri 08:00-18:00\n",
        "mon-fri ٠٨:00-18:00",
    ],
)
def test_what_is_no_window_is_told_what_one_is(text):
    with pytest.raises(InvalidInput, match="not a time of the week") as caught:
        Window.parse(text)
    assert caught.value.code == "bad_hours"
    assert "mon-fri 08:00-18:00" in caught.value.remedy


@pytest.mark.parametrize("text", ["mon 18:00-08:00", "mon 08:00-08:00", "mon 24:00-24:00"])
def test_an_empty_window_is_refused_and_a_night_explained(text):
    with pytest.raises(InvalidInput, match="is empty") as caught:
        Window.parse(text)
    assert "22:00-24:00" in caught.value.remedy


@pytest.mark.parametrize(
    ("moment", "is_it"),
    [
        ("2026-11-25T08:00:00", True),
        ("2026-11-25T07:59:59", False),
        ("2026-11-25T17:59:59", True),
        ("2026-11-25T18:00:00", False),
        ("2026-11-28T12:00:00", False),
    ],
)
def test_the_beginning_is_in_it_and_the_end_is_not(moment, is_it):
    assert is_open(OFFICE, at(moment), BERLIN) is is_it


def test_the_same_moment_is_another_hour_elsewhere():
    moment = at("2026-11-25T08:00:00")
    assert is_open(OFFICE, moment, BERLIN)
    assert not is_open(OFFICE, moment, UTC)


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("2026-11-25T07:59:59", "2026-11-25T08:00:00"),
        ("2026-11-25T18:00:00", "2026-11-26T08:00:00"),
        ("2026-11-27T18:00:00", "2026-11-30T08:00:00"),
        ("2026-12-31T20:00:00", "2027-01-01T08:00:00"),
    ],
)
def test_when_it_opens_again(now, opens):
    assert next_opening(OFFICE, at(now), BERLIN).isoformat()[:19] == opens


def test_the_only_window_of_a_week_opens_in_a_week():
    only = [Window.parse("wed 08:00-09:00")]
    assert next_opening(only, at("2026-11-25T09:00:00"), BERLIN).isoformat()[:16] == "2026-12-02T08:00"


def test_days_change_at_the_holders_midnight_and_have_23_or_25_hours_twice_a_year():
    noon = at("2026-11-25T12:00:00")
    assert first_second_of_day(noon, BERLIN) == at("2026-11-25T00:00:00")
    assert first_second_of_day(at("2026-11-25T00:30:00"), UTC) == at("2026-11-24T00:00:00", UTC)
    for day, hours in (("2026-03-29", 23), ("2026-10-25", 25), ("2026-11-25", 24)):
        midday = at(f"{day}T12:00:00")
        length = next_day(midday, BERLIN).timestamp() - first_second_of_day(midday, BERLIN)
        assert length == hours * 3600
    # An hour that the clock skips opens with the next; the doubled one is in both its turns.
    assert is_open([Window.parse("sun 02:00-03:00")], at("2026-10-25T02:30:00") + 3600, BERLIN)


@pytest.mark.parametrize("name", ["Mars/Olympus", "Europe", "", "../etc/passwd", "/etc/localtime", "utc\0"])
def test_an_unknown_time_zone_is_named(name):
    with pytest.raises(InvalidInput) as caught:
        time_zone(name)
    assert caught.value.code == "bad_timezone"
    assert "UTC" in caught.value.remedy


def test_time_zones_are_known_by_name():
    assert time_zone("UTC") is UTC
    assert time_zone("Europe/Berlin") == BERLIN
