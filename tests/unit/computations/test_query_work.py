"""What a question makes a node do is bounded when it is read: writing out, looking up, telling rows apart."""

from __future__ import annotations

import pytest

from kapok.computations.query.reading import read_question
from kapok.computations.rows import operations, texts
from kapok.computations.rows.operations import Field, Operation
from kapok.documents.dataset import Column, Dataset
from kapok.errors import InvalidInput

VISITS = Dataset(
    name="visits",
    rows_max=10_000,
    columns=(
        Column(name="x", type="integer", minimum=0, maximum=100_000),
        Column(name="y", type="integer", minimum=0, maximum=100_000, nullable=True),
        Column(name="place", type="text", domain=tuple(f"place {number}" for number in range(10_000))),
    ),
)


def refused(sql: str) -> InvalidInput:
    with pytest.raises(InvalidInput) as found:
        read_question(sql, VISITS)
    assert found.value.remedy
    return found.value


def test_products_that_are_short_to_write_and_long_to_compute_are_refused():
    asked = "SELECT SUM(POWER(POWER(POWER(x * 0, 16), 16), 16)) FROM visits"
    assert refused(asked).code == "question_too_long"


@pytest.mark.parametrize("aggregate", ["SUM({})", "COUNT(*) FILTER (WHERE {} < x)"])
def test_what_is_written_out_counts_over_the_whole_question(aggregate):
    def asked(count: int) -> str:
        # A thousand operations each.
        parts = [aggregate.format(f"POWER(POWER(x * 0, 16), 16) + {number}") for number in range(count)]
        return f"SELECT {', '.join(parts)} FROM visits"

    assert read_question(asked(5), VISITS)
    assert refused(asked(25)).code == "question_too_long"


def test_codes_nest_no_deeper_than_is_read_by_recursion():
    code: operations.Code = Field("x")
    for _ in range(199):
        code = Operation("neg", (code,))
    assert code.depth == 200
    with pytest.raises(InvalidInput) as found:
        Operation("neg", (code,))
    assert found.value.code == "question_too_long"


@pytest.mark.parametrize("measure", ["COUNT(*) FILTER (WHERE x % {} < 25)", "COUNT(y % {})"])
def test_so_many_aggregates_may_be_of_some_rows_alone(measure):
    def asked(count: int) -> str:
        return f"SELECT {', '.join(measure.format(50 + number) for number in range(count))} FROM visits"

    assert read_question(asked(32), VISITS)
    assert refused(asked(33)).code == "too_many_conditions"


def test_aggregates_of_all_rows_are_not_counted_among_them():
    assert read_question(f"SELECT {', '.join(f'SUM(x + {n})' for n in range(50))} FROM visits", VISITS)


@pytest.mark.parametrize(
    "condition",
    [
        "place LIKE '%i%{}'",
        "place < 'place {}'",
        "LENGTH(place || '{}') = 9",
        "CASE WHEN x = {} THEN place ELSE 'b' END = 'a'",
    ],
)
def test_values_that_functions_are_found_for_are_counted(condition, monkeypatch):
    # A few such functions already fill what may be written out: this is about the reading before that.
    monkeypatch.setattr(operations, "MOST_CODE", 10**9)
    many = " OR ".join(condition.format(number) for number in range(40))
    found = refused(f"SELECT COUNT(*) FROM visits WHERE {many}")
    assert (found.code, "values" in found.message) == ("question_too_long", True)


def test_a_comparison_looks_at_no_long_domain():
    many = " OR ".join(f"place = 'place {number}'" for number in range(200))
    assert read_question(f"SELECT COUNT(*) FROM visits WHERE {many}", VISITS)


def test_a_pattern_is_built_once_for_all_texts(monkeypatch):
    built = []
    real = texts._like

    def building(pattern: str, *, ignore_case: bool) -> object:
        built.append(pattern)
        return real(pattern, ignore_case=ignore_case)

    monkeypatch.setattr(texts, "_like", building)
    read_question("SELECT COUNT(*) FROM visits WHERE place LIKE '%1%'", VISITS)
    assert built == ["%1%"] * 2, "of the question, and of the finer one behind it"
