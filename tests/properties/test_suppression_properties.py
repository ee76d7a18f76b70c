"""What complementary suppression promises, against an attacker that computes exact bounds of hidden cells."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from support.table_attacker import bounds_by_flow, bounds_by_listing

from kapok.computations.query.disclosure.selection import split
from kapok.computations.query.disclosure.suppression import subsets, suppress


@st.composite
def tables(draw, shape, largest, zeros=True):
    """Tables in which small, empty and large cells are about as frequent."""
    cell = st.one_of(st.just(0), st.integers(0, largest // 4), st.integers(0, largest))
    count = int(np.prod(shape))
    return np.array(draw(st.lists(cell, min_size=count, max_size=count)), dtype=np.int64).reshape(shape)


def sensitive(sizes, least, show_empty):
    few = sizes < least
    return few & (sizes > 0) if show_empty else few


shapes = st.one_of(
    st.tuples(st.integers(1, 6)),
    st.tuples(st.integers(1, 5), st.integers(1, 6)),
    st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 4)),
    st.tuples(*[st.integers(1, 2)] * 4),
)


@settings(max_examples=300, deadline=None)
@given(st.data(), shapes, st.booleans(), st.integers(1, 12))
def test_no_small_cell_is_bounded_within_the_least_cell(data, shape, show_empty, least):
    sizes = data.draw(tables(shape, 60))
    pattern = suppress(sizes, least, show_empty=show_empty)
    every = tuple(range(len(shape)))
    for order in range(len(shape) + 1):
        for kept in combinations(every, order):
            margin = sizes.sum(axis=tuple(set(every) - set(kept)))
            assert pattern[kept][sensitive(margin, least, show_empty)].all()
    if pattern[()]:
        assert pattern[every].all()
        return
    for cell in zip(*np.nonzero(sensitive(sizes, least, show_empty)), strict=True):
        for axis in every:
            low, high = bounds_by_flow(sizes, pattern, cell, axis)
            assert high - low >= least


@settings(max_examples=100, deadline=None)
@given(st.data(), st.sampled_from([(5,), (2, 3), (3, 3), (2, 2, 2)]), st.booleans(), st.integers(1, 4))
def test_the_attacker_is_exact(data, shape, show_empty, least):
    sizes = data.draw(tables(shape, 4))
    pattern = suppress(sizes, least, show_empty=show_empty)
    every = tuple(range(len(shape)))
    if pattern[()] or pattern[every].all():
        return
    for cell in zip(*np.nonzero(pattern[every]), strict=True):
        for axis in every:
            rest = tuple(other for other in every if other != axis)
            listed = bounds_by_listing(sizes, pattern, cell, [(), (axis,), rest] if rest else [()])
            assert bounds_by_flow(sizes, pattern, cell, axis) == listed


@settings(max_examples=200, deadline=None)
@given(st.data(), st.sampled_from([(5,), (3, 4), (2, 3, 2)]), st.booleans(), st.integers(1, 8))
def test_no_few_contributors_are_bounded_either(data, shape, show_empty, least):
    sizes = data.draw(tables(shape, 60))
    share = np.array(
        data.draw(st.lists(st.sampled_from([0, 0.1, 0.9, 1]), min_size=sizes.size, max_size=sizes.size))
    )
    part = (sizes * share.reshape(shape)).astype(np.int64)
    rows = suppress(sizes, least, show_empty=show_empty)
    pattern = suppress(sizes, least, show_empty=show_empty, parts=[part, sizes - part], under=rows)
    every = tuple(range(len(shape)))
    for kept, hidden in pattern.items():
        assert (hidden >= rows[kept]).all()
        for place, axis in enumerate(kept):
            coarser = tuple(other for other in kept if other != axis)
            assert (hidden >= np.expand_dims(pattern[coarser], place)).all()
    if pattern[()]:
        return
    for told in (part, sizes - part):
        for cell in zip(*np.nonzero((told > 0) & (told < least)), strict=True):
            assert pattern[every][cell]
            for axis in every:
                low, high = bounds_by_flow(told, pattern, cell, axis)
                assert high - low >= least


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from([(5,), (2, 2), (2, 3)]), st.booleans(), st.integers(1, 3))
def test_no_conditions_on_the_columns_of_a_table_tell_its_small_cells(data, shape, show_empty, least):
    """Of all conditions drawn, and all groupings under each, all that is not split is known at once."""
    sizes = data.draw(tables(shape, 3))
    hidden = suppress(sizes, least, show_empty=show_empty)
    every = tuple(range(len(shape)))
    if hidden[()]:
        return
    sums = []
    for chosen in data.draw(
        st.lists(st.lists(st.booleans(), min_size=sizes.size, max_size=sizes.size), max_size=6)
    ):
        condition = np.array(chosen).reshape(shape)
        for kept in subsets(len(shape)):
            found = split(sizes, sizes * condition, condition, hidden, kept, every)
            for key in zip(*np.nonzero(~found), strict=True) if kept else [()] * (not found):
                cells = condition.copy()
                for axis, value in zip(kept, key, strict=True):
                    cells &= np.expand_dims(np.arange(shape[axis]) == value, tuple(set(every) - {axis}))
                sums.append(cells)
    for cell in zip(*np.nonzero(sensitive(sizes, least, show_empty)), strict=True):
        low, high = bounds_by_listing(sizes, hidden, cell, [(), *((axis,) for axis in every)], sums)
        assert high - low >= least
