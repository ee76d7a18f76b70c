"""Blocks of hidden cells: how a table of two axes whose line totals are known keeps its small cells.

Hide all cells of some rows B and some columns C. Whoever knows everything else and all totals knows the
block's own line totals r_i and c_j, and its total t; any table of whole numbers with these is possible. So a
cell of the block can be anything from max(0, r_i + c_j - t) to min(r_i, c_j), which is (Fréchet 1951; the
bounds are attained, because a transportation problem has a solution in whole numbers)

    an interval of length min(r_i, c_j, t - r_i, t - c_j).

Each sensitive cell is put into a block in which that is at least `least`. Hiding still more never makes it
shorter. Blocks are of two rows wherever two rows will do, and the cheapest ones are taken first; columns in
which no two rows reach `least` together have small cells only, and get one block for all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Cells", "Sizes", "cover", "cover_line"]

Sizes: TypeAlias = npt.NDArray[np.int64]
Cells: TypeAlias = npt.NDArray[np.bool_]

_MOST_WORK: Final = 20_000_000
"""Cells looked at before one block for all that is left ends the search, after a second or two."""

_NEVER: Final = np.iinfo(np.int64).max


def cover_line(counts: Sizes, sizes: Sizes, hidden: Cells, sensitive: Cells, least: int) -> None:
    """Hide more cells of a table of one axis, of which the total is known.

    Its hidden cells add up to T, and each can be anything from 0 to T. What is asked is T of at least
    `least`; for a cell that is not small itself, that much besides it.

    Args:
        counts: What is to be protected, by cell.
        sizes: What a hidden cell costs, by cell.
        hidden: What is hidden already; changed in place.
        sensitive: Which cells are to be protected, all of them hidden.
        least: Least length of the interval.
    """
    if not sensitive.any():
        return
    missing = int(_needs(counts, least)[sensitive].max() - counts[hidden].sum())
    if missing <= 0:
        return
    useful = np.flatnonzero(~hidden & (counts > 0))
    useful = useful[np.argsort(sizes[useful], kind="stable")]
    enough = useful[counts[useful] >= missing]
    if enough.size:
        hidden[enough[0]] = True
        return
    reached = np.searchsorted(np.cumsum(counts[useful]), missing)
    hidden[useful[: int(reached) + 1]] = True


def cover(counts: Sizes, sizes: Sizes, hidden: Cells, sensitive: Cells, least: int) -> None:
    """Hide more cells of a table of two axes, of which all line totals are known; see `cover_line`."""
    if not sensitive.any():
        return
    if counts.shape[0] > counts.shape[1]:
        counts, sizes, hidden, sensitive = counts.T, sizes.T, hidden.T, sensitive.T
    blocks = _Blocks.over(counts, sizes, hidden, sensitive, least)
    for row in np.flatnonzero(blocks.unsafe.any(axis=1)):
        blocks.pair_up(int(row))
    blocks.hide_what_is_left()


def _needs(counts: Sizes, least: int) -> Sizes:
    """What the line of a sensitive cell must reach: `least`, and beside a large cell as much again."""
    needed: Sizes = np.where(counts < least, least, counts + least)
    return needed


@dataclass(slots=True)
class _Blocks:
    """The search for blocks in one table of R rows and C columns.

    Attributes:
        counts: What is to be protected.
        price: What hiding a cell costs: nothing where it is hidden already.
        hidden: Grows.
        unsafe: Sensitive cells that are in no good block yet; shrinks.
        row_needs, column_needs: What the block's part of a cell's line must reach, at most the line's total.
        row_rests, column_rests: What the block's other rows, or columns, must reach for a cell of this one.
        work: Cells that may still be looked at.
    """

    counts: Sizes
    price: Sizes
    hidden: Cells
    unsafe: Cells
    row_needs: Sizes
    column_needs: Sizes
    row_rests: Sizes
    column_rests: Sizes
    work: int

    @classmethod
    def over(cls, counts: Sizes, sizes: Sizes, hidden: Cells, sensitive: Cells, least: int) -> _Blocks:
        needs = _needs(counts, least)
        rows, columns = counts.sum(axis=1), counts.sum(axis=0)
        return cls(
            counts=counts,
            price=np.where(hidden, 0, sizes + 1),
            hidden=hidden,
            unsafe=sensitive.copy(),
            row_needs=np.minimum(needs, rows[:, None]),
            column_needs=np.minimum(needs, columns[None, :]),
            row_rests=np.minimum(least, rows.sum() - rows),
            column_rests=np.minimum(least, rows.sum() - columns),
            work=_MOST_WORK,
        )

    def pair_up(self, row: int) -> None:
        """Protect the row's cells by blocks of it and one other row each, the cheapest by cell first."""
        columns = np.flatnonzero(self.unsafe[row])
        able = self.counts[:, columns] + self.counts[row, columns] >= self.column_needs[row, columns]
        able[row] = False
        prices = self.price[:, columns] * able
        covered, price = np.count_nonzero(able, axis=1), prices.sum(axis=1)
        self.work -= able.size
        while self.work > 0 and covered.any():
            self.work -= self.counts.shape[1]
            mean = np.divide(price, covered, out=np.full(len(price), np.inf), where=covered > 0)
            partner = int(np.argmin(mean))
            block = self._columns_of_pair(row, partner, columns[able[partner] & self.unsafe[row, columns]])
            if block is None:
                able[partner], covered[partner] = False, 0
                continue
            before = self.unsafe[row, columns]
            self._hide(np.array([row, partner]), block)
            done = np.flatnonzero(before & ~self.unsafe[row, columns])
            covered -= np.count_nonzero(able[:, done], axis=1)
            price -= prices[:, done].sum(axis=1)

    def _columns_of_pair(
        self, row: int, partner: int, wanted: npt.NDArray[np.intp]
    ) -> npt.NDArray[np.intp] | None:
        """The wanted columns and the cheapest further ones with which all conditions hold, if any do."""
        pair = self.counts[[row, partner]]
        both = pair.sum(axis=0)
        lacks = (
            self.row_needs[row, wanted].max() - pair[0, wanted].sum(),
            self.row_rests[row] - pair[1, wanted].sum(),
            (self.column_rests[wanted] + both[wanted]).max() - both[wanted].sum(),
        )
        if max(lacks) <= 0:
            return wanted
        gains = (pair[0], pair[1], both)
        price = self.price[row] + self.price[partner]
        enough = np.logical_and.reduce([gain >= lack for gain, lack in zip(gains, lacks, strict=True)])
        enough[wanted] = False
        # Rather a column in which both have rows: the analyst may know which cells are empty.
        for able in (enough & (pair > 0).all(axis=0), enough):
            if able.any():
                return np.append(wanted, np.argmin(np.where(able, price, _NEVER)))
        others = np.argsort(price, kind="stable")
        others = others[~np.isin(others, wanted)]
        reached = np.logical_and.reduce(
            [np.cumsum(gain[others]) >= lack for gain, lack in zip(gains, lacks, strict=True)]
        )
        return np.append(wanted, others[: int(np.argmax(reached)) + 1]) if reached.any() else None

    def hide_what_is_left(self) -> None:
        """One block for all sensitive cells that no pair protects; if even that is too little, the table."""
        if not self.unsafe.any():
            return
        columns = np.flatnonzero(self.unsafe.any(axis=0))
        rows = np.flatnonzero((self.counts[:, columns] > 0).any(axis=1) | self.unsafe.any(axis=1))
        unsafe = self.unsafe[np.ix_(rows, columns)]
        needs = np.where(unsafe, self.row_needs[np.ix_(rows, columns)], 0).max(axis=1)
        rests = np.where(unsafe.any(axis=1), self.row_rests[rows], 0)
        gains, price = self.counts[rows], self.price[rows].sum(axis=0)
        column_lack = (self.column_rests[columns] + gains[:, columns].sum(axis=0)).max()
        price[columns] = _NEVER
        while (price < _NEVER).any():
            reached = gains[:, columns].sum(axis=1)
            lacks = np.maximum(needs - reached, 0)
            others = max(0, column_lack - reached.sum(), (rests + reached).max() - reached.sum())
            if not lacks.any() and not others:
                break
            # The cheapest column for what it brings towards what is missing.
            gain = np.minimum(gains, lacks[:, None]).sum(axis=0) + np.minimum(gains.sum(axis=0), others)
            best = int(np.argmin(np.where(price < _NEVER, price / np.maximum(gain, 1e-9), np.inf)))
            columns, price[best] = np.append(columns, best), _NEVER
        self._hide(rows, columns)
        if self.unsafe.any():
            self.hidden[...] = True

    def _hide(self, rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]) -> None:
        """Hide a block, and tick off the cells that it protects."""
        block = np.ix_(rows, columns)
        self.hidden[block] = True
        self.price[block] = 0
        counts = self.counts[block]
        by_row, by_column = counts.sum(axis=1, keepdims=True), counts.sum(axis=0, keepdims=True)
        total = counts.sum()
        self.unsafe[block] &= ~(
            (by_row >= self.row_needs[block])
            & (by_column >= self.column_needs[block])
            & (total - by_row >= self.row_rests[rows][:, None])
            & (total - by_column >= self.column_rests[columns][None, :])
        )
