"""Attacks by conditions: WHERE, FILTER and CASE that choose rows so that a subtraction tells a few of them.

As in `test_attack_answers`, the analyst knows two of three holders, and the attack must succeed without the
defence.
"""

from __future__ import annotations

import msgspec
import pytest
from support.answers import DATASET, WARDS, Analyst, Holder, spread

from kapok.computations import Thresholds
from kapok.computations.engines import Dominance
from kapok.computations.query.analyst import answer
from kapok.computations.query.disclosure import suppression
from kapok.computations.query.disclosure.patterns import Told
from kapok.computations.query.holder import contribute
from kapok.computations.query.reading import read_question
from kapok.errors import InvalidInput

both_ways = pytest.mark.parametrize("defended", [True, False], ids=["defended", "defence removed"])


@both_ways
def test_a_small_cell_from_filters_that_split_a_group(defended, monkeypatch):
    """COUNT(*), FILTER (WHERE ill), FILTER (WHERE NOT ill): each is a margin of the other two."""
    if not defended:
        take_out_conditions(monkeypatch)
    others = [(30, {"ward": "b", "ill": ill}) for ill in (True, False)]
    target = Holder([(47, {"ill": True}), (3, {"ill": False}), *others])
    analyst = Analyst(target, [Holder([*spread(40, "ward", ill=True), *spread(40, "ward", ill=False)])] * 2)
    learnt = analyst.learns(
        "SELECT ward, COUNT(*) AS n, COUNT(*) FILTER (WHERE ill) AS ill, "
        "COUNT(*) FILTER (WHERE NOT ill) AS healthy FROM stays GROUP BY ward",
        ["ward"],
    )["a",]
    assert learnt["healthy"] is None
    assert learnt["n"] == 50
    if defended:
        assert learnt["ill"] is None
    else:
        assert learnt["n"] - learnt["ill"] == 3


@both_ways
def test_a_small_cell_from_a_filter_that_moves_the_pattern(defended, monkeypatch):
    """A filter that leaves c with fewer rows than b would have c hidden in the place of b, and b shown."""
    if not defended:
        take_out_conditions(monkeypatch)
    target = Holder([(6, {"ward": "a"}), (20, {"ward": "b"}), *spread(7, "stage", ward="c")])
    analyst = Analyst(target, [Holder(spread(40, "ward", "stage"))] * 2)
    learnt = analyst.learns(
        "SELECT ward, COUNT(*) AS n, COUNT(*) FILTER (WHERE NOT (ward = 'c' AND stage > 2)) AS fewer "
        "FROM stays GROUP BY ward",
        ["ward"],
    )
    assert [learnt[ward,]["n"] for ward in WARDS] == [None, None, 28]
    if defended:
        assert learnt["b",]["fewer"] is None
    else:
        assert 54 - 28 - learnt["b",]["fewer"] == 6


@both_ways
def test_a_small_cell_from_a_measure_that_hides_others(defended, monkeypatch):
    """Sums dominated by one person hide their cells for themselves, and need not hide 2 for the sake of 1."""
    if not defended:
        take_out_conditions(monkeypatch)
    target = Holder(
        [
            (6, {"stage": 1}),
            (20, {"stage": 2}),
            *(
                (count, {"stage": stage, "cost": cost})
                for stage in (3, 4)
                for count, cost in ((30, 1), (1, 10**6))
            ),
        ]
    )
    analyst = Analyst(target, [Holder(spread(40, "stage"))] * 2, dominance=Dominance(n=1, percent=80))
    learnt = analyst.learns(
        "SELECT stage, COUNT(*) AS n, COUNT(cost) AS known, SUM(cost) AS cost FROM stays GROUP BY stage",
        ["stage"],
    )
    assert [learnt[stage,]["n"] for stage in (1, 2, 3, 4)] == [None, None, 31, 31]
    if defended:
        assert learnt[2,]["known"] is None
    else:
        assert 88 - 31 - 31 - learnt[2,]["known"] == 6


@both_ways
@pytest.mark.parametrize(
    ("all_of_them", "all_but_one"),
    [
        ("SUM(cost)", "SUM(CASE WHEN person <> 100 THEN cost ELSE NULLIF(COALESCE(note, 1) * 0, 0) END)"),
        ("SUM(cost)", "SUM(cost + 0 / (person - 100))"),
    ],
)
def test_one_person_from_two_aggregates_of_other_columns(all_of_them, all_but_one, defended, monkeypatch):
    """A column that may be unknown, and never is, made the two look as if they could not be compared."""
    if not defended:
        monkeypatch.setattr("kapok.computations.query.disclosure.hiding.Hiding._left_over", lambda *_: [])
        monkeypatch.setattr(
            "kapok.computations.query.disclosure.hiding.Hiding._apart", lambda *given: given[3]
        )
    target = Holder([*((1, {"cost": cost}) for cost in range(100)), (1, {"cost": 1234})])
    analyst = Analyst(target, [Holder(spread(40, "ward"))] * 2)
    learnt = analyst.learns(f"SELECT {all_of_them} AS one, {all_but_one} AS other FROM stays")[()]
    if defended:
        assert learnt["other"] is None
    else:
        assert learnt["one"] - learnt["other"] == 1234


@both_ways
def test_one_person_from_the_counts_of_a_value(defended, monkeypatch):
    """COUNT(DISTINCT …) is made of counts, and the analyst gets them."""
    if not defended:
        monkeypatch.setattr(
            "kapok.computations.query.disclosure.hiding.Hiding._apart", lambda *given: given[3]
        )
    asked = "SELECT COUNT(*), COUNT(DISTINCT CASE WHEN person = 100 THEN NULL ELSE ill END) FROM stays"
    question = read_question(asked, DATASET)
    target = Holder([(101, {"ill": True})])
    words = contribute(
        question, msgspec.structs.replace(DATASET, empty_cells="show"), target, Thresholds(0, 10)
    )
    every, _, *by_value = words.to_integers()
    assert every == 101
    if defended:
        assert all(by_value[1::2])
    else:
        assert by_value == [0, 0, 100, 0]


def take_out_conditions(monkeypatch):
    """Each measure for itself, and no look at what is left over between two."""
    real = suppression.suppress

    def for_itself(*arguments, alike=(), parts=(), under=None, **more):
        return real(*arguments, **more)

    monkeypatch.setattr("kapok.computations.query.disclosure.patterns.suppress", for_itself)
    monkeypatch.setattr(
        "kapok.computations.query.disclosure.hiding.Hiding._apart", lambda self, number, kept, found: found
    )


@both_ways
@pytest.mark.parametrize("background", [0, 70])
def test_one_person_in_front_of_a_background(background, defended, monkeypatch):
    """WHERE cost = v OR (one person): all the others add nothing, or a value that is known."""
    if not defended:
        monkeypatch.setattr("kapok.computations.query.disclosure.hiding.Hiding._told", told_of_sizes_alone)
    target = Holder([(500, {"cost": background}), (80, {"cost": 35}), (1, {"cost": 1234})])
    analyst = Analyst(target, [Holder(spread(40, "ward", cost=35))] * 2)
    learnt = analyst.learns(
        f"SELECT COUNT(*) AS n, SUM(cost) AS cost FROM stays WHERE cost = {background} OR person = 580"
    )[()]
    assert learnt["n"] == 501
    if defended:
        assert learnt["cost"] is None
    else:
        assert learnt["cost"] - 500 * background == 1234


def told_of_sizes_alone(hiding, number, under):
    return Told(hiding._tables.measures[number].sizes)


@both_ways
@pytest.mark.parametrize(
    ("summed", "told"),
    [
        ("SUM(CASE WHEN person = 140 THEN cost ELSE cost % 50 END)", 1234 - 34),
        ("SUM(CASE WHEN person = 140 THEN cost * 1000000000 ELSE cost END)", 1234 * (10**9 - 1)),
        ("SUM(CASE WHEN person = 140 THEN 0 ELSE cost END)", -1234),
        ("SUM(CASE WHEN person >= 0 THEN CASE person WHEN 140 THEN 0 ELSE cost END ELSE 1 END)", -1234),
        ("SUM(COALESCE(NULLIF(person, 140) * 0 + 1, 2) * cost)", 1234),
    ],
)
def test_one_person_in_a_branch_of_a_case(summed, told, defended, monkeypatch):
    """What is summed of one person is another thing than of all the others, and goes beside the plain sum."""
    if not defended:
        take_out_branches(monkeypatch)
    target = Holder([*((1, {"cost": cost}) for cost in range(100, 240)), (1, {"cost": 1234})])
    analyst = Analyst(target, [Holder(spread(40, "ward"))] * 2)
    learnt = analyst.learns(f"SELECT SUM(cost) AS cost, SUM(cost % 50) AS rest, {summed} AS s FROM stays")[()]
    assert learnt["cost"] == sum(range(100, 240)) + 1234
    if defended:
        assert learnt["s"] is None
    else:
        beside = learnt["rest"] if "%" in summed else learnt["cost"]
        assert learnt["s"] - beside == told


@both_ways
@pytest.mark.parametrize(
    ("summed", "told"),
    [
        ("SUM(CASE ward WHEN 'a' THEN 1 WHEN 'b' THEN 1000 ELSE 1000000 END)", 60_020_006),
        ("SUM(CASE WHEN ward = 'b' THEN 2 ELSE 1 END)", 106),
        ("SUM(LENGTH(REPLACE(ward, 'b', 'bbb')))", 126),
    ],
)
def test_hidden_cells_as_digits_of_a_sum(summed, told, defended, monkeypatch):
    """Weights by ward tell the whole table by ward in one number."""
    if not defended:
        take_out_branches(monkeypatch)
        monkeypatch.setattr("kapok.computations.query.holder.selection", lambda *_: None)
    target = Holder([(6, {"ward": "a"}), (20, {"ward": "b"}), (60, {"ward": "c"})])
    question = read_question(f"SELECT {summed} AS s FROM stays", DATASET)
    parts = [contribute(question, DATASET, holder, Thresholds(0, 10)) for holder in [target, target]]
    if defended:
        assert parts[0].to_integers()[-1] > 0
    else:
        assert answer(question, DATASET, parts[0].add(parts[1]).to_integers()).to_dicts()[0]["s"] == 2 * told


def take_out_branches(monkeypatch):
    """Nothing is counted of what branches inside an argument have."""
    for module in ("build", "tables"):
        monkeypatch.setattr(f"kapok.computations.query.{module}.summed_branches", lambda *_: ())


def test_one_person_by_arithmetic():
    """Not stopped: 1 - SIGN(ABS(person - 140)) is one for one person, without any condition."""
    target = Holder([*((1, {"cost": cost}) for cost in range(100, 240)), (1, {"cost": 1234})])
    analyst = Analyst(target, [Holder([(60, {"cost": 10}), (60, {"cost": 20})])] * 2)
    asked = "SELECT SUM(cost) AS cost, SUM(cost * SIGN(ABS(person - 140))) AS others FROM stays"
    learnt = analyst.learns(asked)[()]
    assert learnt["cost"] - learnt["others"] == 1234


def test_one_person_in_front_of_two_backgrounds():
    """Not stopped: more known values than one make a background in which no value is the commonest by far."""
    target = Holder([(250, {"cost": 70}), (250, {"cost": 80}), (1, {"cost": 1234})])
    analyst = Analyst(target, [Holder(spread(40, "ward", cost=35))] * 2)
    learnt = analyst.learns("SELECT SUM(cost) AS cost FROM stays WHERE cost IN (70, 80) OR person = 500")[()]
    counts = [analyst.learns(f"SELECT COUNT(*) AS n FROM stays WHERE cost = {cost}")[()] for cost in (70, 80)]
    assert learnt["cost"] - 70 * counts[0]["n"] - 80 * counts[1]["n"] == 1234


def test_two_questions_under_two_filters_subtract():
    """Not stopped: tables under two filters are no margins of each other; answers leave no record."""
    target = Holder([(100, {"cost": 70}), (1, {"cost": 1234})])
    analyst = Analyst(target, [Holder(spread(40, "ward"))] * 2)
    asked = "SELECT COUNT(*) AS n, SUM(cost) AS cost FROM stays WHERE ward < 'z'"
    all_of_them, all_but_one = analyst.learns(asked)[()], analyst.learns(f"{asked} AND person <> 100")[()]
    assert all_of_them["n"] - all_but_one["n"] == 1
    assert all_of_them["cost"] - all_but_one["cost"] == 1234


@pytest.fixture
def without_selection(monkeypatch):
    """Takes out the look at the finer table that conditions select from."""

    def take_out(defended: bool) -> None:
        if not defended:
            monkeypatch.setattr("kapok.computations.query.holder.selection", lambda *_: None)

    return take_out


@both_ways
@pytest.mark.parametrize(
    "asked",
    [
        "COUNT(*) AS n FROM stays WHERE ward <> 'b'",
        "COUNT(*) AS n FROM stays WHERE ward IN ('a', 'c') AND cost > 5",
        "COUNT(*) FILTER (WHERE ward <> 'b') AS n FROM stays",
        "SUM(CASE WHEN ward = 'b' THEN 0 ELSE 1 END) AS n FROM stays",
        "COUNT(CASE WHEN ward <> 'b' THEN 1 END) AS n FROM stays",
        "COUNT(*) AS n FROM stays WHERE CASE ward WHEN 'b' THEN FALSE ELSE TRUE END",
    ],
)
def test_a_filter_that_leaves_out_what_protects_a_cell(asked, defended, without_selection):
    """Without b, hidden for the sake of a, the total is a and what shows."""
    without_selection(defended)
    target = Holder([(6, {"ward": "a"}), (20, {"ward": "b"}), (60, {"ward": "c"})])
    analyst = Analyst(target, [Holder(spread(40, "ward"))] * 2)
    by_ward = analyst.learns("SELECT ward, COUNT(*) AS n FROM stays GROUP BY ward", ["ward"])
    assert [by_ward[ward,]["n"] for ward in WARDS] == [None, None, 60]
    learnt = analyst.learns(f"SELECT {asked}")[()]["n"]
    if defended:
        assert learnt is None
    else:
        assert learnt - 60 == 6


@both_ways
@pytest.mark.parametrize(
    "derived",
    [
        "ward = 'b'",
        "CASE WHEN ward IN ('a', 'c') THEN 1 ELSE 0 END",
        "REPLACE(ward, 'c', 'a')",
        "CASE WHEN ward = 'b' AND cost > 5 THEN 1 ELSE 0 END",
    ],
)
def test_groups_that_put_a_small_cell_together_with_a_shown_one(derived, defended, without_selection):
    """GROUP BY ward = 'b' is a filter that leaves b out, and one that keeps it alone."""
    without_selection(defended)
    target = Holder([(6, {"ward": "a"}), (20, {"ward": "b"}), (60, {"ward": "c"})])
    analyst = Analyst(target, [Holder(spread(40, "ward"))] * 2)
    learnt = analyst.learns(f"SELECT {derived} AS w, COUNT(*) AS n FROM stays GROUP BY 1", ["w"])
    shown = sorted(row["n"] or 0 for row in learnt.values())
    if defended:
        assert shown == [0, 0]
    else:
        assert sum(shown) - 20 - 60 == 6


@both_ways
@pytest.mark.parametrize(
    "counted", ["HISTOGRAM(CASE ward WHEN 'b' THEN 0 ELSE 1 END, 2)", "COUNT(DISTINCT ward = 'b')"]
)
def test_values_that_put_a_small_cell_together_with_a_shown_one(counted, defended, without_selection):
    """The same as bins of a histogram, and as the counts that COUNT(DISTINCT …) is made of."""
    without_selection(defended)
    target = Holder([(6, {"ward": "a"}), (20, {"ward": "b"}), (60, {"ward": "c"})])
    question = read_question(f"SELECT {counted} FROM stays", DATASET)
    words = contribute(question, DATASET, target, Thresholds(0, 10)).to_integers()
    counts, flags = words[::2], words[1::2]
    if defended:
        assert all(flags)
    else:
        assert (sorted(counts), flags) == ([20, 66], [0, 0])


@both_ways
@pytest.mark.parametrize(
    ("groups", "refused"),
    [
        (", ".join(f"cost * 0 + {number}" for number in range(6)), True),
        (", ".join(f"cost * 0 + {number}" for number in range(7)), True),
        ("FLOOR(cost / 101), stage", True),
        ("ROLLUP(FLOOR(cost / 101))", False),
    ],
)
def test_groups_that_leave_no_room_to_look_at_a_filter(
    groups, refused, defended, without_selection, monkeypatch
):
    """Axes of one value, or so many groups that there is no room for the table by ward."""
    without_selection(defended)
    if not defended:
        monkeypatch.setattr("kapok.computations.query.reading.check_selection", lambda *_: None)
    target = Holder([(6, {"ward": "a"}), (20, {"ward": "b"}), (60, {"ward": "c"})])
    analyst = Analyst(target, [Holder(spread(40, "ward"))] * 2)
    asked = f"SELECT COUNT(*) AS n FROM stays WHERE ward <> 'b' GROUP BY {groups}"
    if defended and refused:
        with pytest.raises(InvalidInput, match="too many groups at once"):
            analyst.ask(asked)
        return
    told = [row["n"] for row in analyst.ask(asked)]
    if defended:
        assert set(told) == {None}
    else:
        assert told[0] - 2 * 80 - 60 == 6


def test_two_filters_on_two_columns_hide_nothing_that_each_would_show():
    """Each condition is looked at over what it reads itself, not over all that the question reads."""
    rows = [
        (size, {"ward": ward, "stage": stage})
        for ward in "ab"
        for stage, size in enumerate((40, 30, 9, 4), 1)
    ]
    analyst = Analyst(Holder([*rows, (80, {"ward": "c"})]), [Holder(spread(40, "ward", "stage"))] * 2)
    learnt = analyst.learns(
        "SELECT COUNT(*) FILTER (WHERE ward = 'a') AS a, COUNT(*) FILTER (WHERE stage > 2) AS late FROM stays"
    )
    assert learnt[()] == {"a": 83, "late": 26}


@both_ways
def test_a_small_cell_from_a_line_asked_by_itself(defended, without_selection):
    """GROUP BY stage WHERE ward = 'a' is a line of GROUP BY ward, stage, and must show no more of it."""
    without_selection(defended)
    sizes = [[6, 40, 20, 60], [30, 15, 60, 50], [80, 90, 95, 70]]
    target = Holder(
        [
            (size, {"ward": ward, "stage": stage})
            for ward, line in zip(WARDS, sizes, strict=True)
            for stage, size in zip((1, 2, 3, 4), line, strict=True)
        ]
    )
    analyst = Analyst(target, [Holder(spread(40, "ward", "stage"))] * 2)
    table = analyst.learns(
        "SELECT ward, stage, COUNT(*) AS n FROM stays GROUP BY ward, stage", ["ward", "stage"]
    )
    lines = {
        ward: analyst.learns(
            f"SELECT stage, COUNT(*) AS n FROM stays WHERE ward = '{ward}' GROUP BY stage", ["stage"]
        )
        for ward in WARDS
    }
    shown = {
        (ward, stage): max(
            (answer for answer in (table[ward, stage]["n"], lines[ward][stage,]["n"]) if answer), default=0
        )
        for ward in WARDS
        for stage in (1, 2, 3, 4)
    }
    if defended:
        assert all(bool(table[cell]["n"]) or not size for cell, size in shown.items()), (
            "lines show nothing more"
        )
    else:
        # The line of ward b has no small cell.
        assert shown["b", 1] == 30
        assert 116 - shown["b", 1] - shown["c", 1] == 6


def test_a_filter_that_drops_some_of_what_protects_a_cell():
    """Not stopped: what a condition keeps of a cell in part is taken for unknown, be it one known row."""
    target = Holder(
        [(6, {"ward": "a"}), (19, {"ward": "b"}), (1, {"ward": "b", "cost": 7}), (60, {"ward": "c"})]
    )
    analyst = Analyst(target, [Holder(spread(40, "ward"))] * 2)
    learnt = analyst.learns("SELECT COUNT(*) AS n FROM stays WHERE ward <> 'b' OR cost = 7")[()]["n"]
    assert learnt - 60 - 1 == 6
