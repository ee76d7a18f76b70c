"""Few rows that have another value than all others, found from the smallest and the largest values alone."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kapok.computations.query.disclosure.backgrounds import Extremes, few_others, shifted, together


def of(values: list[int], least: int) -> Extremes:
    ordered = sorted(values)
    return Extremes(len(values), sum(values), tuple(ordered[:least]), tuple(ordered[::-1][:least]))


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([70] * 100 + [1234], True),
        ([70] * 100 + [1], True),
        ([70] * 100 + [1, 2, 1234, 1235], True),
        ([70] * 100, False),
        ([70] * 100 + [1] * 5, False),
        ([70] * 100 + [1] * 3 + [99] * 2, False),
        ([70] * 6 + [1, 2], True),
        ([70] * 3 + [1, 2, 3, 4, 5], False),
        ([], False),
    ],
)
def test_few_others(values, found):
    assert few_others(of(values, 5), 5) is found


@given(st.lists(st.integers(0, 4), max_size=40), st.integers(0, 8))
def test_the_lists_tell_what_all_values_would(values, least):
    others = len(values) - max(Counter(values).values(), default=0)
    assert few_others(of(values, least), least) is (0 < others < least)


@given(st.lists(st.lists(st.integers(0, 4), max_size=12), max_size=5), st.integers(0, 8))
def test_cells_together_are_one(cells, least):
    merged = together([of(values, least) for values in cells], least)
    assert merged == of([value for values in cells for value in values], least)


@given(st.lists(st.integers(-9, 9), max_size=40), st.integers(-1000, 1000))
def test_shifted_magnitudes_are_the_same_wherever_zero_is(values, by):
    found = shifted(of(values, 3))
    assert found == shifted(of([value + by for value in values], 3))
    assert found[::-1] == shifted(of([by - value for value in values], 3))
    for magnitudes in found:
        assert min(magnitudes.largest) >= 0
        assert magnitudes.total == sum(
            abs(value - (min(values) if magnitudes is found[0] else max(values))) for value in values
        )
