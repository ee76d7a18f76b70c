"""What measures of the same rows hide for each other's sake."""

from __future__ import annotations

import numpy as np

from kapok.computations.query.disclosure.patterns import Told, patterns


def table(*rows: object) -> np.ndarray:
    return np.array(rows, dtype=np.int64)


def test_a_measure_hides_what_the_rows_hide():
    """Else COUNT(x) of a column that is always known would give COUNT(*) of 20 back, and 6 with it."""
    sizes = table(6, 20, 30, 40)
    dominated = {(0,): np.array([False, False, False, True])}
    rows, (known,) = patterns(sizes, [Told(sizes, primary=dominated)], 10, show_empty=True)
    assert rows[0,].tolist() == [True, True, False, False]
    assert known[0,].tolist() == [True, True, False, True]


def test_measures_may_hide_more_than_the_rows():
    rows, (known,) = patterns(table(20, 30, 40), [Told(table(3, 25, 30))], 10, show_empty=True)
    assert not rows[0,].any()
    assert known[0,].tolist() == [True, True, False]


def test_conditions_that_split_a_cell_hide_together():
    """FILTER (WHERE a) of 45, FILTER (WHERE NOT a) of 5, and the total of 50, which shows."""
    sizes, some = table(50, 60, 70), table(45, 30, 35)
    few = sizes - some
    rows, (one, other, plain) = patterns(
        sizes,
        [Told(some, condition_rows=some), Told(few, condition_rows=few), Told(sizes)],
        10,
        show_empty=True,
    )
    assert not rows[0,].any()
    assert (one[0,] == other[0,]).all()
    assert one[0,].tolist() == [True, True, False]
    assert not plain[0,].any()


def test_a_condition_that_leaves_out_few_rows_is_hidden_though_nobody_asks_for_the_rest():
    sizes, some = table(50, 60, 70), table(45, 30, 70)
    _, (kept,) = patterns(sizes, [Told(some, condition_rows=some)], 10, show_empty=True)
    assert kept[0,][0]
    assert not kept[0,][2]


def test_where_empty_cells_are_hidden_a_condition_that_keeps_none_is_hidden_with_its_opposite():
    sizes, none = table(50, 60, 70), table(0, 30, 40)
    told = [Told(none, condition_rows=none), Told(sizes - none, condition_rows=sizes - none)]
    assert not any(found[0,].any() for found in patterns(sizes, told, 10, show_empty=True)[1])
    assert all(found[0,][0] for found in patterns(sizes, told, 10, show_empty=False)[1])


def test_counts_of_each_value_are_one_axis_more():
    sizes = table(30, 40, 50)
    by_value = table([3, 27], [20, 20], [25, 25])
    rows, (spread,) = patterns(sizes, [Told(by_value)], 10, show_empty=True)
    assert not rows[0,].any()
    assert spread[0, 1].tolist() == [[True, True], [True, True], [False, False]]
    assert set(spread) == {(), (0,), (1,), (0, 1)}


def test_counts_of_each_value_without_groups():
    rows, (spread,) = patterns(np.array(60), [Told(table(3, 27, 30))], 10, show_empty=True)
    assert not rows[()]
    assert spread[0,].tolist() == [True, True, False]


def test_a_table_of_many_columns_has_the_answered_margins():
    shape = (2,) * 7
    sizes = np.full(shape, 20, dtype=np.int64)
    sizes[(0,) * 7] = 3
    rows, (spread,) = patterns(
        sizes, [Told(np.stack([sizes, sizes], axis=-1))], 10, show_empty=True, answered=[(), (0, 1)]
    )
    assert all(rows[kept].all() for kept in ((), (0, 1), tuple(range(7))))
    assert all(spread[kept].all() for kept in ((), (7,), (0, 1), (0, 1, 7), tuple(range(8))))
