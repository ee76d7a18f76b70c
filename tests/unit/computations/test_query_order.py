"""ORDER BY, LIMIT and OFFSET of an answer, beside nulls and suppressed values; what an answer costs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

import pytest

from kapok.computations.engines import Thresholds
from kapok.computations.query.analyst import Answer, answer
from kapok.computations.query.holder import contribute
from kapok.computations.query.params import Question
from kapok.computations.query.reading import read_question
from kapok.documents.dataset import Column, Dataset

from .conftest import DuckEngine

WARDS = ("a", "b", "c", "d", "e", "f")
VISITS = Dataset(
    name="visits",
    rows_max=1_000_000,
    empty_cells="show",
    columns=(
        Column(name="ward", type="text", domain=WARDS),
        Column(name="x", type="integer", minimum=0, maximum=100_000, nullable=True),
    ),
)
# In ward b x is unknown, ward d has as many rows as ward e.
ROWS = (
    "('a', 5), ('a', 6), ('b', NULL), ('c', 40), ('c', 50), ('c', 60), ('d', 1), ('e', 2), ('f', 9), ('f', 9)"
)


def asked(sql: str, hidden: dict[str, str]) -> Answer:
    """The answer over these rows, of which somebody suppressed a measure in some wards.

    Args:
        sql: Its first measure is COUNT(*), its second of x.
        hidden: By ward, the numbers of the measures.
    """
    question, words = words_of(sql, f"SELECT * FROM (VALUES {ROWS}) AS t (ward, x)")
    place = 0
    for ward in WARDS:
        for number, measure in enumerate(question.measures):
            place += 2 + len(measure.moments)
            words[place - 1] = int(str(number) in hidden.get(ward, ""))
    assert place == len(words)
    return answer(question, VISITS, words)


def order_of(rest: str, hidden: dict[str, str] | None = None) -> str:
    found = asked(f"SELECT ward, COUNT(*) AS n, SUM(x) AS s FROM visits GROUP BY ward {rest}", hidden or {})
    return "".join(str(row[0]) for row in found.rows)


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("", "abcdef"),
        ("ORDER BY s", "deafcb"),
        ("ORDER BY s DESC", "cfaedb"),
        ("ORDER BY s NULLS FIRST", "bdeafc"),
        ("ORDER BY s DESC NULLS FIRST", "bcfaed"),
        ("ORDER BY n, ward DESC", "edbfac"),
        ("ORDER BY n DESC, s", "cafdeb"),
        ("ORDER BY n DESC, s DESC NULLS FIRST", "cfabed"),
        ("ORDER BY 2, 1", "bdeafc"),
        ("ORDER BY s / n DESC", "cfaedb"),
        ("ORDER BY n", "bdeafc"),
    ],
)
def test_lines_come_in_the_order_that_is_asked_for(rest, expected):
    assert order_of(rest) == expected


@pytest.mark.parametrize("direction", ["", " DESC", " NULLS FIRST", " DESC NULLS FIRST"])
def test_suppressed_values_come_after_all_others_in_their_own_order(direction):
    shown = order_of(f"ORDER BY s{direction}").replace("c", "").replace("d", "")
    assert order_of(f"ORDER BY s{direction}", {"c": "1", "d": "1"}) == shown + "cd"
    # A further ranking tells those apart.
    assert order_of(f"ORDER BY s{direction}, ward DESC", {"c": "1", "d": "1"}) == shown + "dc"


def test_what_is_computed_of_a_suppressed_value_ranks_as_one():
    found = asked(
        "SELECT ward, COUNT(*) AS n, SUM(x) AS s FROM visits GROUP BY ward ORDER BY s / n", {"a": "0"}
    )
    assert [row[0] for row in found.rows] == ["d", "e", "f", "c", "b", "a"]
    assert found.suppressed == ((5, "n"),)


def test_labels_are_of_the_rows_where_they_have_come_to_stand():
    sql = "SELECT ward, COUNT(*) AS n, SUM(x) AS s FROM visits GROUP BY ward ORDER BY n DESC LIMIT 3 OFFSET 1"
    found = asked(sql, {"f": "1", "e": "0"})
    assert found.rows == (("a", 2, 11), ("f", 2, None), ("b", 1, None))
    # In ward b x is unknown: null, and not suppressed.
    assert found.suppressed == ((1, "s"),)


def test_having_that_cannot_be_told_keeps_a_row_and_its_place():
    sql = "SELECT ward, SUM(x) AS s FROM visits GROUP BY ward HAVING COUNT(*) >= 2 ORDER BY s DESC"
    question = read_question(sql, VISITS)
    counted = next(str(number) for number, measure in enumerate(question.measures) if not measure.moments)
    found = asked(sql, {"d": counted, "c": "01"})
    assert [row[0] for row in found.rows] == ["f", "a", "d", "c"]
    assert found.undecided == (2, 3)
    assert found.suppressed == ((3, "s"),)


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("LIMIT 0", ""),
        ("LIMIT 2", "de"),
        ("LIMIT 2 OFFSET 3", "fc"),
        ("LIMIT 99", "deafcb"),
        ("LIMIT 99 OFFSET 5", "b"),
        ("LIMIT 1 OFFSET 6", ""),
        ("OFFSET 4", "cb"),
    ],
)
def test_limit_and_offset_count_lines_after_the_order(rest, expected):
    assert order_of(f"ORDER BY s {rest}") == expected


def test_limit_counts_what_having_has_left():
    assert order_of("HAVING COUNT(*) >= 2 ORDER BY s LIMIT 2") == "af"
    assert order_of("HAVING COUNT(*) >= 2 ORDER BY s LIMIT 9 OFFSET 2") == "c"


def words_of(sql: str, table: str, thresholds: Thresholds | None = None) -> tuple[Question, list[int]]:
    question, engine = read_question(sql, VISITS), DuckEngine(f"CREATE TABLE source AS {table}")
    return question, contribute(question, VISITS, engine, thresholds or Thresholds(0, 0)).to_integers()


@pytest.mark.parametrize(
    "where", ["x IS NOT NULL", "ward = 'a' AND x > 0", "NOT (x IS NULL) AND (ward = 'a' OR ward = 'b')"]
)
def test_a_group_that_where_leaves_out_is_no_line_though_it_was_suppressed(where):
    column = Column(name="x", type="integer", domain=(5, 6), nullable=True)
    narrow = Dataset(name="visits", rows_max=1000, columns=(VISITS.columns[0], column))
    sql = "SELECT x, COUNT(*) AS n FROM visits{} GROUP BY ROLLUP (x)"
    question, unfiltered = (
        read_question(sql.format(filtered), narrow) for filtered in (f" WHERE {where}", "")
    )
    # Nothing is shown: of (5, 6, null) and of the margin, by a holder that suppresses all.
    found = answer(question, narrow, [0, 1] * 4)
    assert found.rows == ((5, None), (6, None), (None, None))
    assert len(answer(unfiltered, narrow, [0, 1] * 4).rows) == 4


def calls_of(work: Callable[[], object]) -> int:
    """How many functions are called, Python's own included."""
    count = 0

    def counting(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(counting)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def numbers(cells: int, rows: int) -> str:
    return f"SELECT i * 7 % {cells} AS x, 'a' AS ward FROM range({rows}) t (i)"


@pytest.mark.parametrize(
    "rest", ["", "ORDER BY k * 37 % 101 DESC, s", "HAVING s > 10 ORDER BY s / n LIMIT 50"]
)
def test_an_answer_takes_as_many_steps_as_it_has_cells(rest):
    """Four times the cells: four times the steps; sorting compares exact numbers a little more often."""
    steps = []
    for cells in (250, 1000):
        sql = f"SELECT x % {cells} AS k, COUNT(*) AS n, SUM(x) AS s FROM visits GROUP BY 1 {rest}"
        question, words = words_of(sql, numbers(cells, 3 * cells))
        steps.append(calls_of(partial(answer, question, VISITS, words)))
    assert steps[1] < 4.4 * steps[0]


@pytest.mark.parametrize(
    "sql",
    ["SELECT x % {}, COUNT(*), AVG(x) FROM visits GROUP BY 1", "SELECT COUNT(DISTINCT x % {}) FROM visits"],
)
def test_a_holders_half_takes_as_many_steps_as_there_are_cells(sql):
    steps = [
        calls_of(partial(words_of, sql.format(cells), numbers(cells, 20 * cells), Thresholds(10, 5)))
        for cells in (500, 2000)
    ]
    assert steps[1] < 4.1 * steps[0]
