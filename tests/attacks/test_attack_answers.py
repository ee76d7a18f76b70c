"""Attacks on answers: an analyst subtracts what it is told, to learn what one holder did not want to tell.

The analyst knows every row of two of three holders, so that what it learns of the sum it learns of the
third. Where the defence can be taken out of the running code, the attack must then succeed.
"""

from __future__ import annotations

from typing import Any

import pytest
from support.answers import CARRIERS, WARDS, Analyst, Holder, spread

from kapok.computations.engines import Dominance
from kapok.computations.query.disclosure import suppression

both_ways = pytest.mark.parametrize("defended", [True, False], ids=["defended", "defence removed"])
empty_both_ways = pytest.mark.parametrize("empty", ["show", "hide"])

FLIGHTS = {
    "EWR": (1268, 3487, 714, 6557, 4342, 43939, 0, 0, 0, 2276, 6, 46087, 4405, 1566, 6188, 0),
    "JFK": (14651, 13783, 0, 42076, 20701, 1408, 0, 0, 342, 7193, 0, 4534, 2995, 3596, 0, 0),
    "LGA": (2541, 15459, 0, 6002, 23067, 8826, 685, 3260, 0, 16928, 26, 8044, 13136, 0, 6087, 601),
}


@pytest.fixture
def without_complement(monkeypatch):
    """Takes out what is hidden for another cell's sake."""

    def take_out(defended: bool) -> None:
        if not defended:
            monkeypatch.setattr(suppression, "_protect", lambda *_: None)

    return take_out


@both_ways
@empty_both_ways
def test_a_small_cell_from_the_total_of_the_same_question(empty, defended, without_complement):
    without_complement(defended)
    target = Holder([(6, {"ward": "a"}), (50, {"ward": "b"}), (60, {"ward": "c"})])
    analyst = Analyst(target, [Holder(spread(40, "ward"))] * 2, empty)
    learnt = analyst.learns("SELECT ward, COUNT(*) AS n FROM stays GROUP BY ROLLUP (ward)", ["ward"])
    assert learnt["a",]["n"] is None
    others = [learnt[ward,]["n"] for ward in WARDS[1:]]
    if defended:
        assert others == [None, 60], "the cheaper of the others is hidden too, and the two have 56"
        assert learnt[None,]["n"] == 116
    else:
        assert learnt[None,]["n"] - sum(others) == 6


@both_ways
@empty_both_ways
@pytest.mark.parametrize("cell", [("a",), ("b",), ("c",)])
def test_a_small_cell_from_the_total_of_another_question(cell, empty, defended, without_complement):
    without_complement(defended)
    sizes = {"a": 6, "b": 7, "c": 60} if cell != ("c",) else {"a": 30, "b": 90, "c": 9}
    target = Holder([(size, {"ward": ward}) for ward, size in sizes.items()])
    low, high = Analyst(target, [Holder(spread(40, "ward"))] * 2, empty).bounds(["ward"], cell)
    if defended or cell != ("c",):
        # Two small cells of 13 rows together protect each other.
        assert high - low >= 10
    else:
        assert (low, high) == (9, 9)


@both_ways
@empty_both_ways
@pytest.mark.parametrize(
    "sizes",
    [
        [[6, 40, 50, 60], [30, 70, 60, 50], [80, 90, 95, 70]],
        [[6, 40, 0, 60], [30, 0, 60, 50], [80, 90, 95, 0]],
        [[4, 40, 50, 60], [4, 70, 60, 50], [4, 90, 95, 70]],
        [[4, 0, 0, 0], [30, 40, 50, 60], [0, 30, 20, 90]],
    ],
    ids=["one cell", "beside empty cells", "a column of small cells", "a small line"],
)
def test_a_small_cell_from_two_groupings_that_overlap(sizes, empty, defended, without_complement):
    """GROUP BY ward, stage; GROUP BY ward; GROUP BY stage; and the total: four questions."""
    without_complement(defended)
    target = Holder(
        [
            (size, {"ward": ward, "stage": stage})
            for ward, line in zip(WARDS, sizes, strict=True)
            for stage, size in zip((1, 2, 3, 4), line, strict=True)
        ]
    )
    analyst = Analyst(target, [Holder(spread(40, "ward", "stage"))] * 2, empty)
    low, high = analyst.bounds(["ward", "stage"], ("a", 1))
    if defended:
        assert high - low >= 10
    else:
        assert high - low < 10


@both_ways
@empty_both_ways
def test_a_carrier_with_six_flights_from_one_airport(empty, defended, without_complement):
    """The holder at EWR has six flights of OO; where empty cells show, many cells of the others are zero."""
    without_complement(defended)
    airports = [
        Holder([(count, {"carrier": carrier}) for carrier, count in zip(CARRIERS, counts, strict=True)])
        for counts in FLIGHTS.values()
    ]
    # Where empty cells are hidden, those of the other airports would hide most of the sum by themselves.
    others = airports[1:] if empty == "show" else [Holder(spread(40, "carrier"))] * 2
    analyst = Analyst(airports[0], others, empty)
    low, high = analyst.bounds(["carrier"], ("OO",))
    learnt = analyst.learns("SELECT carrier, COUNT(*) AS n FROM stays GROUP BY carrier", ["carrier"])
    assert learnt["OO",]["n"] is None
    if empty == "show":
        assert sum(row["n"] is None for row in learnt.values()) == (2 if defended else 1)
    if defended:
        assert (low, high) == (0, 720), "714 flights of AS are hidden for the sake of OO"
    elif empty == "show":
        assert (low, high) == (6, 6)
    else:
        assert (low, high) == (0, 6), (
            "four carriers that do not fly from EWR are hidden too, but that is known"
        )


@both_ways
def test_a_cell_hidden_for_another_from_a_finer_table(defended, monkeypatch):
    """GROUP BY ward hides b for the sake of a; by ward and stage b would add up: its stages are large."""
    if not defended:
        monkeypatch.setattr(suppression, "_inherit", lambda *_: None)
    target = Holder(
        [
            (6, {"ward": "a"}),
            *((15, {"ward": "b", "stage": stage}) for stage in (2, 3)),
            *((30, {"ward": "c", "stage": stage}) for stage in (1, 2, 3)),
        ]
    )
    analyst = Analyst(target, [Holder(spread(40, "ward", "stage"))] * 2)
    by_ward = analyst.learns("SELECT ward, COUNT(*) AS n FROM stays GROUP BY ward", ["ward"])
    assert (by_ward["a",]["n"], by_ward["b",]["n"]) == (None, None)
    finer = analyst.learns(
        "SELECT ward, stage, COUNT(*) AS n FROM stays GROUP BY ward, stage", ["ward", "stage"]
    )
    stages = [finer["b", stage]["n"] for stage in (1, 2, 3, 4)]
    if defended:
        assert stages == [None] * 4, "the empty ones too"
    else:
        assert 126 - 90 - sum(filter(None, stages)) == 6


@both_ways
def test_the_largest_contributor_of_a_sum(defended):
    """One stay costs as much as all others: the sum tells it to within what they cost."""
    target = Holder([(40, {"cost": 100}), (1, {"cost": 900_000})])
    rules: dict[str, Any] = {"dominance": Dominance(n=1, percent=80)} if defended else {}
    analyst = Analyst(target, [Holder(spread(40, "ward"))] * 2, **rules)
    learnt = analyst.learns("SELECT COUNT(*) AS n, SUM(cost) AS cost FROM stays")[()]
    assert learnt["n"] == 41
    assert learnt["cost"] == (None if defended else 904_000)


@both_ways
def test_the_second_largest_contributor_takes_itself_off(defended):
    target = Holder([(40, {"cost": 1}), (1, {"cost": 900_000}), (1, {"cost": 800_000})])
    analyst = Analyst(target, [Holder(spread(40, "ward"))] * 2, **({"p_percent": 10} if defended else {}))
    learnt = analyst.learns("SELECT SUM(cost) AS cost FROM stays")[()]["cost"]
    if defended:
        assert learnt is None
    else:
        assert learnt - 800_000 == 900_040


@both_ways
@pytest.mark.parametrize(
    "summed", ["cost + 1000000", "1000000 - cost", "cost + CASE WHEN cost >= 0 THEN 1000000 ELSE 0 END"]
)
@pytest.mark.parametrize("rules", [{"dominance": Dominance(n=1, percent=60)}, {"p_percent": 20}])
def test_a_dominated_sum_with_a_constant_in_each_row(rules, summed, defended, monkeypatch):
    """What is added to each row is a large known part of every magnitude, and taken off again."""
    if not defended:
        monkeypatch.setattr("kapok.computations.query.disclosure.hiding.shifted", lambda _: ())
    target = Holder([(1, {"cost": cost}) for cost in (*range(50, 90), 900_000)])
    analyst = Analyst(target, [Holder(spread(40, "ward"))] * 2, **rules)
    assert analyst.learns("SELECT SUM(cost) AS cost FROM stays")[()]["cost"] is None
    learnt = analyst.learns(f"SELECT COUNT(*) AS n, SUM({summed}) AS cost FROM stays")[()]
    assert learnt["n"] == 41
    if defended:
        assert learnt["cost"] is None
    else:
        assert abs(learnt["cost"] - 41_000_000) == sum(range(50, 90)) + 900_000


@both_ways
def test_few_contributors_with_a_constant_in_each_row(defended, monkeypatch):
    """All but one add nothing to SUM(cost), and a known 1 to SUM(cost + 1)."""
    if not defended:
        monkeypatch.setattr("kapok.computations.query.disclosure.hiding.few_others", lambda *_: False)
    analyst = Analyst(Holder([(100, {"cost": 0}), (1, {"cost": 4321})]), [Holder(spread(40, "ward"))] * 2)
    assert analyst.learns("SELECT SUM(cost) AS cost FROM stays")[()]["cost"] is None
    learnt = analyst.learns("SELECT COUNT(*) AS n, SUM(cost + 1) AS cost FROM stays")[()]
    if defended:
        assert learnt["cost"] is None
    else:
        assert learnt["cost"] - learnt["n"] == 4321


def test_three_groupings_that_overlap_in_pairs():
    """Not stopped: each of three tables is harmless, and together they fix a cell that none of them shows."""
    sizes = {(1, "a"): (3, 25), (1, "b"): (20, 40), (2, "a"): (15, 50), (2, "b"): (30, 0)}
    target = Holder(
        [
            (size, {"stage": stage, "ward": ward, "year": year})
            for (stage, ward), by_year in sizes.items()
            for year, size in zip((2023, 2024), by_year, strict=True)
        ]
    )
    analyst = Analyst(target, [Holder(spread(40, "ward", "stage", "year"))] * 2)

    def table(one, other):
        asked = f"SELECT {one}, {other}, COUNT(*) AS n FROM stays GROUP BY {one}, {other}"
        return {key: row["n"] for key, row in analyst.learns(asked, [one, other]).items()}

    of_ward, of_year, of_both = table("stage", "ward"), table("stage", "year"), table("ward", "year")

    def fits(small):
        """All eight cells follow from one, those of stage 1, ward a in 2023."""
        first = {
            ("a", 2023): small,
            ("a", 2024): of_ward[1, "a"] - small,
            ("b", 2023): of_year[1, 2023] - small,
        }
        first["b", 2024] = of_ward[1, "b"] - first["b", 2023]
        return all(0 <= size <= of_both[key] for key, size in first.items())

    assert [small for small in range(100) if fits(small)] == [0, 1, 2, 3]
