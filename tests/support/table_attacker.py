"""An exact attacker on tables: the least and the greatest size that a hidden cell can have, given what shows.

Two of them, independent of each other and of the code that hides. `bounds_by_flow` is exact for tables of
one and of two axes and quick; `bounds_by_listing` goes through all tables of whole numbers that fit, for
any margins, and is for tables of a few cells.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import product

import numpy as np

_MUCH = 10**12


def bounds_by_flow(
    sizes: np.ndarray, pattern: Mapping[tuple[int, ...], np.ndarray], cell: tuple[int, ...], axis: int = 0
):
    """Bounds of a hidden cell: known is what shows of the table and its margins over `axis` and all others.

    A change of the table that nobody can see is a circulation: it goes from the line of the cell through
    hidden cells back to it. Margins that are hidden themselves take up any change, if their own sum stays.
    """
    if sizes.ndim == 1:
        # A lone second column: its line is the total.
        sizes, cell = sizes[:, None], (*cell, 0)
        pattern = {
            (0, 1): pattern[0,][:, None],
            (0,): np.ones(len(sizes), dtype=bool),
            (1,): np.atleast_1d(pattern[()]),
        }
    every = tuple(range(sizes.ndim))
    rest = tuple(other for other in every if other != axis)
    flat_cell = int(
        np.ravel_multi_index([cell[other] for other in rest], [sizes.shape[other] for other in rest])
    )
    flat, hidden = (
        np.moveaxis(array, axis, 0).reshape(sizes.shape[axis], -1) for array in (sizes, pattern[every])
    )
    return _flow(flat, hidden, pattern[axis,], pattern[rest].ravel(), (cell[axis], flat_cell))


def _flow(sizes, hidden, rows_hidden, columns_hidden, cell):
    rows, columns = sizes.shape
    row_node = ["other rows" if rows_hidden[i] else ("row", i) for i in range(rows)]
    column_node = ["other columns" if columns_hidden[j] else ("column", j) for j in range(columns)]
    capacity: dict[object, dict[object, int]] = {node: {} for node in (*row_node, *column_node)}
    for i, j in zip(*np.nonzero(hidden), strict=True):
        if (i, j) != cell:
            row, column = row_node[i], column_node[j]
            capacity[row][column] = capacity[row].get(column, 0) + _MUCH
            capacity[column][row] = capacity[column].get(row, 0) + int(sizes[i, j])
    size = int(sizes[cell])
    start, end = row_node[cell[0]], column_node[cell[1]]
    down = min(size, _most_flow(capacity, start, end))
    return size - down, size + _most_flow(capacity, end, start)


def _most_flow(capacity, source, sink):
    residual = {node: dict(edges) for node, edges in capacity.items()}
    sent = 0
    while True:
        came_from = {source: source}
        queue = deque([source])
        while queue and sink not in came_from:
            node = queue.popleft()
            for other, room in residual[node].items():
                if room > 0 and other not in came_from:
                    came_from[other] = node
                    queue.append(other)
        if sink not in came_from or sent >= _MUCH:
            return sent
        path = [sink]
        while path[-1] != source:
            path.append(came_from[path[-1]])
        steps = list(zip(path[1:], path[:-1], strict=True))
        room = min(residual[one][other] for one, other in steps)
        for one, other in steps:
            residual[one][other] -= room
            residual[other][one] = residual[other].get(one, 0) + room
        sent += room


def bounds_by_listing(
    sizes: np.ndarray,
    pattern: Mapping[tuple[int, ...], np.ndarray],
    cell: tuple[int, ...],
    known: Sequence[tuple[int, ...]],
    sums: Sequence[np.ndarray] = (),
):
    """Bounds of a hidden cell for who knows the finest table and the margins `known`, as far as they show.

    With `sums` also the sums over these sets of cells, given as boolean tables.
    """
    finest = pattern[tuple(range(sizes.ndim))]
    hidden = list(zip(*np.nonzero(finest), strict=True))
    lines = [line for kept in known for line in _lines(sizes, pattern[kept], kept, hidden)]
    for cells in sums:
        inside = [n for n, at in enumerate(hidden) if cells[at]]
        lines.append((frozenset(inside), sum(int(sizes[hidden[n]]) for n in inside)))
    found = [table[hidden.index(cell)] for table in _tables(len(hidden), list(dict.fromkeys(lines)))]
    return min(found), max(found)


def _lines(sizes, margin_hidden, kept, hidden) -> Iterator[tuple[frozenset[int], int]]:
    """For each shown cell of a margin: which hidden cells it sums, and to what."""
    for key in product(*(range(sizes.shape[axis]) for axis in kept)):
        if not margin_hidden[key]:
            inside = [n for n, at in enumerate(hidden) if tuple(at[axis] for axis in kept) == key]
            yield frozenset(inside), sum(int(sizes[hidden[n]]) for n in inside)


def _tables(count: int, lines) -> Iterator[tuple[int, ...]]:
    values: list[int] = []

    def extend() -> Iterator[tuple[int, ...]]:
        n = len(values)
        rests = [(line, total - sum(values[m] for m in line if m < n)) for line, total in lines]
        if any(rest < 0 or (rest > 0 and (not line or max(line) < n)) for line, rest in rests):
            return
        if n == count:
            yield tuple(values)
            return
        mine = [rest for line, rest in rests if n in line]
        for value in range(min(mine) + 1):
            values.append(value)
            yield from extend()
            values.pop()

    return extend()
