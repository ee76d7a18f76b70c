"""The comparison with the pooled truth notices everything that it is there to notice."""

from decimal import Decimal
from pathlib import Path

import pytest

from kapok.computations.query.params import Question
from kapok.computations.query.reading import read_question
from kapok.demo.comparison import compare
from kapok.demo.pooled import pooled_answer
from kapok.documents.dataset import Column, Dataset

SQL = "SELECT sex, COUNT(*), SUM(dose), AVG(age) FROM ward GROUP BY sex"


@pytest.fixture(scope="module")
def ward() -> Dataset:
    return Dataset(
        name="ward",
        columns=(
            Column(name="sex", type="text", domain=("f", "m")),
            Column(name="age", type="integer", minimum=0, maximum=120, nullable=True),
            Column(name="dose", type="decimal", minimum=-10, maximum=10, resolution="0.1"),
        ),
        rows_max=100,
    )


@pytest.fixture(scope="module")
def question(ward) -> Question:
    return read_question(SQL, ward)


TRUTH = [("f", 3, Decimal("0.300000"), 50.0), ("m", 2, Decimal("-1.500000"), None)]
RIGHT = [["f", 3, Decimal("0.3"), 50.0], ["m", 2, Decimal("-1.5"), None]]
NOTHING = frozenset()


def changed(row: int, column: int, value: object) -> list[list[object]]:
    rows = [list(one) for one in RIGHT]
    rows[row][column] = value
    return rows


def test_the_truth_agrees_in_any_order(question):
    found = compare(question, RIGHT, NOTHING, TRUTH[::-1])
    assert found.agree
    assert (found.shown, found.suppressed, found.max_abs_difference) == (6, 0, 0.0)
    assert found.pooled == tuple(TRUTH)
    assert found.groups == (0,)


@pytest.mark.parametrize(
    "rows",
    [
        changed(0, 1, 4),
        changed(0, 2, Decimal("0.4")),
        changed(0, 2, Decimal("0.30001")),
        changed(0, 3, 50.0 * (1 + 2e-9)),
        changed(0, 3, None),
        changed(1, 3, 0.0),
        changed(1, 0, "x"),
        RIGHT[:1],
        [*RIGHT, ["x", 1, Decimal(0), 1.0]],
        [],
    ],
)
def test_whatever_is_wrong_is_noticed(question, rows):
    assert not compare(question, rows, NOTHING, TRUTH).agree


def test_averages_may_differ_in_the_last_digits(question):
    found = compare(question, changed(0, 3, 50.0 * (1 + 5e-10)), NOTHING, TRUTH)
    assert found.agree
    assert 0 < found.max_abs_difference < 1e-7


def test_suppressed_cells_are_left_out_and_nothing_else(question):
    hidden = frozenset({(0, "count")})
    wrong_but_hidden = compare(question, changed(0, 1, None), hidden, TRUTH)
    assert wrong_but_hidden.agree
    assert (wrong_but_hidden.shown, wrong_but_hidden.suppressed) == (5, 1)
    assert not compare(question, changed(0, 2, None), hidden, TRUTH).agree


def test_pooled_truth_is_over_all_files(ward, tmp_path: Path):
    (tmp_path / "one.data").write_text("f,40,0.1\nm,?,0.2\n")
    (tmp_path / "two.data").write_text("f,60.0,-.1\n")
    rows = pooled_answer(SQL, ward, sorted(tmp_path.iterdir()))
    assert {row[0]: row[1:] for row in rows} == {
        "f": (2, Decimal("0"), 50.0),
        "m": (1, Decimal("0.2"), None),
    }
