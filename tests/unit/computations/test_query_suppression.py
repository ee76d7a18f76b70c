"""Which cells are hidden besides the small ones: tables small enough to be read."""

from __future__ import annotations

import numpy as np
import pytest
from support.table_attacker import bounds_by_flow

from kapok.computations.query.disclosure.suppression import MOST_AXES, suppress


def table(*rows: object) -> np.ndarray:
    return np.array(rows, dtype=np.int64)


def test_nothing_small_hides_nothing():
    pattern = suppress(table([10, 20], [30, 40]), 10, show_empty=True)
    assert set(pattern) == {(), (0,), (1,), (0, 1)}
    assert not any(hidden.any() for hidden in pattern.values())


@pytest.mark.parametrize(
    ("sizes", "hidden"),
    [
        # The smallest other cell goes with a small one, the first of equals.
        ((50, 6, 20, 30), (0, 1, 1, 0)),
        ((20, 6, 20, 30), (1, 1, 0, 0)),
        # Two small cells that make ten protect each other; two that do not need a third.
        ((50, 6, 4, 30), (0, 1, 1, 0)),
        ((50, 6, 3, 30), (0, 1, 1, 1)),
        # An empty cell that shows protects nothing, and is not small.
        ((0, 6, 20, 30), (0, 1, 1, 0)),
        # With nothing else to hide, only the total shows.
        ((50, 6), (1, 1)),
        # The total is small itself.
        ((3, 6), (1, 1)),
        ((0, 0, 0), (0, 0, 0)),
    ],
)
def test_one_column_where_empty_cells_show(sizes, hidden):
    pattern = suppress(table(*sizes), 10, show_empty=True)
    assert pattern[0,].astype(int).tolist() == list(hidden)
    assert pattern[()] == (0 < sum(sizes) < 10)


def test_one_column_where_empty_cells_are_hidden():
    hidden = suppress(table(0, 50, 20, 30), 10, show_empty=False)[0,]
    assert hidden.tolist() == [True, False, True, False]


def test_that_nothing_is_unknown_needs_no_protection_and_a_few_unknown_do():
    flags = (False, False, False, True)
    empty = suppress(table(50, 20, 30, 0), 10, show_empty=False, unknown=[flags])[0,]
    assert empty.tolist() == [False, False, False, True]
    few = suppress(table(50, 20, 30, 3), 10, show_empty=False, unknown=[flags])[0,]
    assert few.tolist() == [False, True, False, True]
    # Another empty value is protected as before, whether there are unknown ones or not.
    other = suppress(table(50, 20, 0, 0), 10, show_empty=False, unknown=[flags])[0,]
    assert other.tolist() == [False, True, True, True]


def test_in_two_columns_a_line_of_unknown_values_is_hidden_and_no_more():
    sizes = table([20, 30, 0], [40, 50, 0])
    pattern = suppress(sizes, 10, show_empty=False, unknown=[(False, False), (False, False, True)])
    assert pattern[0, 1].tolist() == [[False, False, True]] * 2
    assert pattern[1,].tolist() == [False, False, True]
    assert not pattern[0,].any()
    assert suppress(sizes, 10, show_empty=False)[0, 1].tolist() == [[True, False, True]] * 2


def test_a_lone_small_cell_takes_three_others_along():
    sizes = table([6, 40, 50], [30, 70, 60], [80, 90, 95])
    pattern = suppress(sizes, 10, show_empty=True)
    assert pattern[0, 1].astype(int).tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 0]]
    assert not pattern[0,].any()
    assert not pattern[1,].any()


def test_without_the_further_cells_the_margins_give_the_small_one_back():
    sizes = table([6, 40, 50], [30, 70, 60], [80, 90, 95])
    pattern = suppress(sizes, 10, show_empty=True)
    assert bounds_by_flow(sizes, pattern, (0, 0)) == (0, 36)
    pattern[0, 1] = sizes < 10
    assert bounds_by_flow(sizes, pattern, (0, 0)) == (6, 6)


def test_a_column_of_small_cells_needs_no_large_one_in_it():
    sizes = table([4, 40, 50], [4, 70, 60], [4, 90, 95])
    pattern = suppress(sizes, 10, show_empty=True)
    assert pattern[0, 1][:, 0].all()
    assert all(np.subtract(*bounds_by_flow(sizes, pattern, (row, 0))[::-1]) >= 10 for row in range(3))
    assert not pattern[0, 1].all()


def test_what_a_margin_hides_is_hidden_in_all_it_is_divided_into_empty_cells_too():
    sizes = table([6, 0, 0], [0, 30, 0], [40, 50, 60])
    pattern = suppress(sizes, 10, show_empty=True)
    assert pattern[0,].tolist() == [True, True, False]
    assert pattern[0, 1][:2].all()


def test_a_margin_has_one_pattern_whatever_else_is_asked():
    sizes = np.random.default_rng(7).poisson(9, (4, 3, 5)).astype(np.int64)
    whole = suppress(sizes, 8, show_empty=True)
    alone = suppress(sizes.sum(axis=1), 8, show_empty=True)
    assert (whole[0, 2] == alone[0, 1]).all()
    assert (whole[2,] == alone[1,]).all()


def test_parts_are_protected_as_sizes_are():
    """Three of a hundred rows contribute: the sums of some other contributors are hidden with theirs."""
    sizes, parts = table(100, 200, 300, 400), table(3, 0, 60, 50)
    hidden = suppress(sizes, 10, show_empty=True, parts=[parts])[0,]
    assert hidden.tolist() == [True, False, True, False]


def test_a_cell_of_many_rows_that_one_contributor_dominates_gets_as_many_again():
    """A line of ten would do for a small cell; besides this one there must be ten others."""
    sizes = table(50, 60, 15, 70)
    primary = {(0,): np.array([True, False, False, False])}
    assert suppress(sizes, 10, show_empty=True, primary=primary)[0,].tolist() == [True, False, True, False]


def test_what_the_rows_hide_every_measure_hides():
    """Else a count of known values, equal to the rows', would give back a cell hidden for another's sake."""
    rows = suppress(table(6, 20, 30, 40), 10, show_empty=True)
    primary = {(0,): np.array([False, False, False, True])}
    known = suppress(table(6, 20, 30, 40), 10, show_empty=True, primary=primary, under=rows)
    assert (known[0,] >= rows[0,]).all()
    alone = suppress(table(6, 20, 30, 40), 10, show_empty=True, primary=primary)
    assert alone[0,].tolist() == [True, True, False, True]


def test_a_table_of_too_many_columns_is_hidden_whole():
    sizes = np.full((2,) * (MOST_AXES + 1), 20, dtype=np.int64)
    every = tuple(range(MOST_AXES + 1))
    assert not suppress(sizes, 10, show_empty=True)[every].any()
    sizes[(0,) * (MOST_AXES + 1)] = 3
    assert suppress(sizes, 10, show_empty=True)[every].all()


def test_the_same_table_gives_the_same_pattern_and_stays_as_it_was():
    sizes = np.random.default_rng(3).poisson(12, (6, 7)).astype(np.int64)
    kept = sizes.copy()
    first, again = (suppress(sizes, 10, show_empty=False) for _ in range(2))
    assert all((first[kept_axes] == again[kept_axes]).all() for kept_axes in first)
    assert (sizes == kept).all()


def test_a_hundred_thousand_cells_lose_few_besides_the_small_ones():
    random = np.random.default_rng(1)
    sizes = random.poisson(random.gamma(0.7, 30, (250, 400))).astype(np.int64)
    hidden = suppress(sizes, 10, show_empty=True)[0, 1]
    small = (sizes > 0) & (sizes < 10)
    assert small.sum() <= hidden.sum() < 1.05 * small.sum()
