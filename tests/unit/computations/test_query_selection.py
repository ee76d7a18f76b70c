"""Which finer table stands behind the conditions of a question."""

from __future__ import annotations

import numpy as np
import pytest

from kapok.computations.query.disclosure.selection import selection, split
from kapok.computations.query.disclosure.suppression import suppress
from kapok.computations.query.reading import read_question
from kapok.documents.dataset import Column, Dataset
from kapok.errors import InvalidInput

TINY = Dataset(
    name="tiny",
    rows_max=1000,
    columns=(
        Column(name="ward", type="text", domain=("a", "b", "c")),
        Column(name="stage", type="integer", domain=(1, 2), nullable=True),
        Column(name="ill", type="boolean"),
        Column(name="age", type="integer", minimum=0, maximum=120),
        Column(name="code", type="integer", domain=tuple(range(10_000))),
    ),
)


def behind(asked: str):
    return selection(read_question(f"SELECT {asked}", TINY), TINY)


@pytest.mark.parametrize(
    "asked",
    [
        "COUNT(*) FROM tiny",
        "ward, COUNT(*), AVG(age) FROM tiny GROUP BY ward",
        "COUNT(*) FROM tiny WHERE age > 60",
        "ward, SUM(age) FILTER (WHERE age > 60) FROM tiny GROUP BY ward",
        "SUM(CASE WHEN age > 60 THEN 1 ELSE 0 END) FROM tiny",
    ],
)
def test_nothing_that_can_be_grouped_by_is_read(asked):
    assert behind(asked) is None


@pytest.mark.parametrize(
    ("asked", "finer"),
    [
        (
            "COUNT(*) FROM tiny WHERE ward <> 'b' AND age > 60",
            "COUNT(*) AS n0, COUNT(*) FILTER (WHERE ward <> 'b' AND age > 60) AS n1 FROM tiny GROUP BY ward",
        ),
        (
            "stage, AVG(age) FROM tiny WHERE ill GROUP BY stage",
            "COUNT(*) AS n0, COUNT(*) FILTER (WHERE ill) AS n1 FROM tiny GROUP BY stage, ill",
        ),
        (
            "ward, COUNT(*) FROM tiny WHERE ward <> 'b' GROUP BY ward",
            "COUNT(*) AS n0, COUNT(*) FILTER (WHERE ward <> 'b') AS n1 FROM tiny GROUP BY ward",
        ),
        (
            "COUNT(*) FILTER (WHERE ill) FROM tiny WHERE age > 60",
            "COUNT(*) AS n0, COUNT(*) FILTER (WHERE age > 60) AS n1, "
            "COUNT(*) FILTER (WHERE age > 60 AND ill) AS n2 FROM tiny GROUP BY ill",
        ),
        (
            "SUM(CASE WHEN ward = 'b' THEN 0 ELSE 1 END) FROM tiny",
            "COUNT(*) AS n0, "
            "COUNT(*) FILTER (WHERE CASE WHEN ward = 'b' THEN 0 ELSE 1 END IS NOT NULL) AS n1, "
            "COUNT(*) FILTER (WHERE CASE WHEN ward = 'b' THEN 0 ELSE 1 END <> 0) AS n2 "
            "FROM tiny GROUP BY ward",
        ),
        (
            "COUNT(DISTINCT stage) FROM tiny WHERE ward = 'a'",
            "COUNT(*) AS n0, COUNT(*) FILTER (WHERE ward = 'a') AS n1 FROM tiny GROUP BY stage, ward",
        ),
        # What is made of columns that can be grouped by stands beside them.
        (
            "ward = 'b', COUNT(*), COUNT(DISTINCT ABS(stage - 1)) FROM tiny GROUP BY ward = 'b'",
            "COUNT(*) AS n0, COUNT(*) FILTER (WHERE ABS(stage - 1) IS NOT NULL) AS n1 FROM tiny "
            "GROUP BY ward = 'b', stage, ward, ABS(stage - 1)",
        ),
    ],
)
def test_the_finer_question(asked, finer):
    found = behind(asked)
    assert found is not None
    assert found.finer.sql == f"SELECT {finer}"


def test_a_histogram_keeps_its_place_among_the_axes():
    found = behind("ward, HISTOGRAM(age, 3), COUNT(*) FROM tiny WHERE ill GROUP BY ward")
    assert found is not None
    assert [len(axis.values) for axis in found.finer.axes] == [3, 2, 3]
    assert (found.axes, found.choices[found.where].read) == ((0, 2), (1,))


def test_what_a_condition_can_keep_is_told_by_the_values_alone():
    found = behind("COUNT(*) FROM tiny WHERE (stage = 1 OR ward = 'c') AND age > 60")
    assert found is not None
    assert found.choices[found.where].possible.tolist() == [[False, False, True], [False, False, True]] or (
        found.choices[found.where].possible.tolist()
        == [[True, True, True], [False, False, True], [False, False, True]]
    )


def test_what_a_derived_expression_can_be_is_told_by_the_values_alone():
    found = behind("COUNT(*) FROM tiny GROUP BY CASE ward WHEN 'b' THEN 0 ELSE 1 END")
    assert found is not None
    [choice] = found.choices.values()
    assert choice.possible.tolist() == [[False, True], [True, False], [False, True]]


@pytest.mark.parametrize(
    "asked",
    [
        "COUNT(*) FROM tiny WHERE code > 5 AND ill GROUP BY ward, stage",
        "COUNT(*) FROM tiny WHERE ill GROUP BY FLOOR(age / 2), code % 7",
        "COUNT(*) FROM tiny WHERE ill GROUP BY " + ", ".join(f"age * 0 + {number}" for number in range(6)),
    ],
)
def test_a_question_that_leaves_no_room_is_refused_when_it_is_read(asked):
    with pytest.raises(InvalidInput) as refused:
        read_question(f"SELECT {asked}", TINY)
    assert refused.value.code == "too_many_cells"


def test_a_finer_question_too_long_for_an_engine_is_refused_when_it_is_read():
    """WHERE is written out once, and once more with each FILTER behind it."""
    long = "ill AND POWER(POWER(POWER(age * 0, 16), 16), 8) >= 0"
    filters = ", ".join(f"COUNT(*) FILTER (WHERE age > {number}) AS n{number}" for number in range(30))
    read_question(f"SELECT COUNT(*) FROM tiny WHERE {long}", TINY)
    with pytest.raises(InvalidInput) as refused:
        read_question(f"SELECT {filters} FROM tiny WHERE {long}", TINY)
    assert refused.value.code == "question_too_long"


def test_lines_of_hidden_cells_are_told_whole_or_not_at_all():
    sizes = np.array([6, 20, 60, 70])
    hidden = suppress(sizes, 10, show_empty=True)
    assert hidden[0,].tolist() == [True, True, False, False]

    def told(*kept: int, by: tuple[int, ...] = ()) -> object:
        condition = np.isin(np.arange(4), kept)
        return split(sizes, sizes * condition, condition, hidden, by, (0,)).tolist()

    assert told(0, 2) is True
    assert told(1, 2, 3) is True
    assert told(0, 1, 2) is False
    assert told(2, 3) is False
    assert told(1, 2, by=(0,)) == [False, True, False, False]
