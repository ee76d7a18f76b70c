"""Complementary suppression: which more cells a holder hides, so that margins do not give a small one back.

A cell that is too small is suppressed *primarily*. Whoever also knows the total of its line, and all other
cells of the line, subtracts; so further cells are hidden with it. Totals need not be in the same question:
all margins of a table, over every subset of its grouping columns, can be asked for in others. They are
presumed known wherever they are shown there, and a margin has one pattern only, that of the question that
asks for it alone:

    GROUP BY a, b   all of:   ()    (a)    (b)    (a, b)        ROLLUP and CUBE answer some of these tables

Tables are settled from the coarse to the fine. What is hidden in a margin is hidden, empty cells included,
in all that it is divided into: rows could be exchanged between two hidden values of a without changing
anything shown by b, by c, or by any other column.

**Criterion.** An attacker who knows everything shown of one holder's table and of its margins bounds no
primarily suppressed size to an interval shorter than `least`. For one column and for two this holds exactly
(docs/decisions/0012-complementary-suppression.md has the proof); for three and more, against the table
together with the margin over one column and the margin over all others.

Pure: depends on one holder's numbers alone, draws nothing at random, and gives the same answer to the same
table. Sources: Hundepool et al., Statistical Disclosure Control, 2012, ch. 4.2 to 4.4 (primary and secondary
suppression, feasibility intervals); Repsilber 1994 (hypercubes), of which blocks here are a kind.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from kapok.computations.query.disclosure.blocks import Cells, Sizes, cover, cover_line

__all__ = ["MOST_AXES", "Axes", "Pattern", "subsets", "suppress"]

MOST_AXES: Final = 6
"""Tables over more columns have too many margins: one cell too small hides all of such a table."""

Axes: TypeAlias = tuple[int, ...]
"""Which grouping columns a table keeps, ascending: () the grand total, all of them the finest table."""

Pattern: TypeAlias = Mapping[Axes, Cells]
"""What is hidden in the finest table and in each of its margins."""


_Scalar = TypeVar("_Scalar", bound=np.generic)


@dataclass(frozen=True, slots=True)
class _Table:
    """One table of the lattice: the finest, or a margin.

    Attributes:
        counts: Sizes of each cell, the rows or known values first, then what else is to be protected.
        sensitive: For each of them, which cells are to be protected.
        hidden: What does not leave the holder; grows.
    """

    counts: tuple[Sizes, ...]
    sensitive: tuple[Cells, ...]
    hidden: Cells


def suppress(
    sizes: Sizes,
    least: int,
    *,
    show_empty: bool,
    unknown: Sequence[Sequence[bool]] = (),
    alike: Sequence[Sizes] = (),
    parts: Sequence[Sizes] = (),
    primary: Pattern | None = None,
    under: Pattern | None = None,
    answered: Collection[Axes] = (),
) -> dict[Axes, Cells]:
    """Find what one measure of one holder hides, in the finest table and in every margin.

    Args:
        sizes: This holder's rows, or its known values, in each finest cell: one axis for each column of
            GROUP BY, not negative.
        least: `min_cell` of its policy.
        show_empty: Whether cells without rows show.
        unknown: For each of the first axes, which of its values stands for "unknown". Where empty cells are
            hidden, such a cell is hidden too, and nothing else for its sake: that a column lacks no value is
            a fact about the holder's records, not about anybody in them.
        alike: Further sizes of each cell, at most `sizes`, which are too small when `sizes` would be: rows
            that a condition keeps. Like `parts`, they add up over margins.
        parts: Further sizes of each cell, at most `sizes`, which the measure's words tell of (the
            contributors of a sum): each must be none or at least `least`.
        primary: Cells to protect for other reasons, as dominance, in any of the tables.
        under: What is hidden anyway: the pattern of the rows themselves, for a measure that tells of them.
        answered: Margins that must be in the pattern, of a table with more than `MOST_AXES` axes.

    Returns:
        For each subset of the axes a boolean array over those axes: whether the cell is hidden. With more
        than `MOST_AXES` axes, for the finest table and the answered margins alone: all of them or none.
    """
    axes = tuple(range(sizes.ndim))
    every = (sizes, *alike, *parts)

    def table(kept: Axes) -> _Table:
        dropped = tuple(axis for axis in axes if axis not in kept)
        counts = tuple(np.asarray(each.sum(axis=dropped)) for each in every)
        sensitive = [(each < least) & (each > 0) for each in counts]
        empty = [] if show_empty else [each == 0 for each in counts[: 1 + len(alike)]]
        for place, each in enumerate(empty):
            sensitive[place] |= each & ~_any_unknown(kept, unknown)
        sensitive[0] = sensitive[0] | (primary or {}).get(kept, np.False_)
        hidden = np.logical_or.reduce([*sensitive, *empty]) | (under or {}).get(kept, np.False_)
        return _Table(counts, tuple(map(np.asarray, sensitive)), np.array(hidden))

    if len(axes) > MOST_AXES:
        tables = {kept: table(kept).hidden for kept in (*answered, axes)}
        any_hidden = any(hidden.any() for hidden in tables.values())
        return {kept: np.full(hidden.shape, any_hidden) for kept, hidden in tables.items()}
    found: dict[Axes, Cells] = {}
    for kept in subsets(len(axes)):
        this = table(kept)
        _inherit(this.hidden, kept, found)
        if this.hidden.any() and not this.hidden.all():
            _protect(this, kept, found, least)
        found[kept] = this.hidden
    return found


def subsets(axes: int) -> list[Axes]:
    """All tables over some of so many axes, from the total to the finest."""
    return [kept for order in range(axes + 1) for kept in combinations(range(axes), order)]


def _any_unknown(kept: Axes, unknown: Sequence[Sequence[bool]]) -> Cells:
    """Which cells of a table have an unknown value on one of its axes; broadcasts over the table."""
    found: Cells = np.zeros((1,) * len(kept), dtype=np.bool_)
    for place, axis in enumerate(kept):
        if axis < len(unknown):
            flags = np.asarray(unknown[axis], dtype=np.bool_)
            found = found | np.expand_dims(
                flags, tuple(other for other in range(len(kept)) if other != place)
            )
    return found


def _inherit(hidden: Cells, kept: Axes, found: Pattern) -> None:
    """Hide what a hidden cell of a margin is divided into."""
    for place, axis in enumerate(kept):
        coarser = tuple(other for other in kept if other != axis)
        hidden |= np.expand_dims(found[coarser], place)


def _protect(table: _Table, kept: Axes, found: Pattern, least: int) -> None:
    """Hide more cells of the table until each sensitive one has room; all coarser tables are settled."""
    if len(kept) == 1:
        for counts, sensitive in zip(table.counts, table.sensitive, strict=True):
            cover_line(counts, table.counts[0], table.hidden, sensitive, least)
        return
    # Of two axes one flattening is the table itself; of more, each axis has its own lines.
    for place in range(1 if len(kept) == 2 else len(kept)):
        axis = kept[place]
        rest = tuple(other for other in kept if other != axis)
        _protect_flat(table, place, found[axis,], found[rest].ravel(), least)


def _protect_flat(table: _Table, place: int, rows_hidden: Cells, columns_hidden: Cells, least: int) -> None:
    """Protect a table of two axes: one of its axes, and all others taken as one.

    Values that a margin hides are added up to one, since their rows could be exchanged among them. Their
    cells are hidden and cost nothing more; they need protection only where together they are few.
    """
    hidden = _flat(table.hidden, place).copy()
    shown = np.ix_(~rows_hidden, ~columns_hidden)
    rows, columns = np.count_nonzero(~rows_hidden), np.count_nonzero(~columns_hidden)
    sizes = _merged(_flat(table.counts[0], place), rows_hidden, columns_hidden)
    merged_hidden = np.ones(sizes.shape, dtype=bool)
    merged_hidden[:rows, :columns] = hidden[shown]
    for counts, sensitive in zip(table.counts, table.sensitive, strict=True):
        merged = _merged(_flat(counts, place), rows_hidden, columns_hidden)
        unsafe = _merged(_flat(sensitive, place).astype(np.int64), rows_hidden, columns_hidden) > 0
        unsafe[rows:] &= merged[rows:] < least
        unsafe[:, columns:] &= merged[:, columns:] < least
        cover(merged, sizes, merged_hidden, unsafe, least)
    hidden[shown] = merged_hidden[:rows, :columns]
    moved = np.moveaxis(table.hidden, place, 0)
    moved[...] = hidden.reshape(moved.shape)


def _flat(array: npt.NDArray[_Scalar], place: int) -> npt.NDArray[_Scalar]:
    moved = np.moveaxis(array, place, 0)
    return moved.reshape(len(moved), -1)


def _merged(counts: Sizes, rows_hidden: Cells, columns_hidden: Cells) -> Sizes:
    """The table with all hidden rows added up as one last row, and all hidden columns as one last column."""
    for axis, gone in enumerate((rows_hidden, columns_hidden)):
        if gone.any():
            rest = counts.compress(gone, axis=axis).sum(axis=axis, keepdims=True)
            counts = np.concatenate([counts.compress(~gone, axis=axis), rest], axis=axis)
    return counts
