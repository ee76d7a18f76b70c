"""What each measure of a question hides at one holder: they share rows, so none must give away another's.

    rows                     hide what is small, and what protects it
    rows under conditions    hide besides what FILTER makes small, or all but small
    each measure             hides all that the rows it is of hide, and what is small of its own

A count of known values can equal the rows': where the rows hide a cell for another's sake, so does every
measure. Two measures that share a condition's rows and the rest are a margin in disguise: FILTER (WHERE a),
FILTER (WHERE NOT a) and the total. All measures with a condition hide a cell together as soon as one
condition keeps too few of its rows, or leaves out too few.

Dominance rules need no such care of margins: both are subadditive (Cox 1981), so that a margin that breaks
one has a cell that does.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np

from kapok.computations.query.disclosure.blocks import Cells, Sizes
from kapok.computations.query.disclosure.suppression import Axes, Pattern, suppress

__all__ = ["Told", "patterns"]


@dataclass(frozen=True, slots=True)
class Told:
    """What the words of one measure tell of this holder.

    Attributes:
        counts: Known values in each finest cell: one axis for each column of GROUP BY, and a last one for the
            values where the measure is a count of each value.
        parts: Further sizes of each cell that must be none or at least the least cell, as the contributors of
            a sum; at most `counts`.
        condition_rows: Rows that its condition keeps, without the axis of values; None without a condition.
        primary: Cells that are to be protected for other reasons, as dominance, by table.
        under: Cells that are hidden anyway, by table.
    """

    counts: Sizes
    parts: tuple[Sizes, ...] = ()
    condition_rows: Sizes | None = None
    primary: Pattern = field(default_factory=dict)
    under: Pattern = field(default_factory=dict)


def patterns(
    rows: Sizes,
    measures: Sequence[Told],
    least: int,
    *,
    show_empty: bool,
    unknown: Sequence[Sequence[bool]] = (),
    under: Pattern | None = None,
    answered: Collection[Axes] = (),
) -> tuple[Pattern, list[Pattern]]:
    """Find what is hidden of the rows and of each measure, in the finest table and in its margins.

    Args:
        rows: This holder's rows in each finest cell, one axis for each column of GROUP BY.
        measures: What each measure's words tell of.
        least: `min_cell` of the holder's policy.
        show_empty: Whether cells without rows show.
        unknown: For each axis of `rows`, which of its values stands for "unknown" (see `suppress`).
        under: What is hidden anyway of the rows, by table.
        answered: The margins that the question answers.

    Returns:
        The pattern of COUNT(*), and one for each measure: for each of its tables, what is hidden in it. A
        measure that counts each value has the values as its last axis.
    """
    with_condition = [told for told in measures if told.condition_rows is not None]
    conditions = [told.condition_rows for told in measures if told.condition_rows is not None]
    of_rows = suppress(rows, least, show_empty=show_empty, unknown=unknown, under=under, answered=answered)
    under_conditions: Pattern = of_rows
    if conditions:
        under_conditions = suppress(
            rows,
            least,
            show_empty=show_empty,
            unknown=unknown,
            alike=conditions,
            parts=[rows - kept for kept in conditions],
            under=_either(of_rows, *(told.under for told in with_condition)),
            answered=answered,
        )
    found: list[Pattern] = []
    for told in measures:
        above = of_rows if told.condition_rows is None else under_conditions
        by_value = told.counts.ndim > rows.ndim
        found.append(
            suppress(
                told.counts,
                least,
                show_empty=show_empty,
                unknown=unknown,
                parts=told.parts,
                primary=told.primary,
                under=_either(_by_value(above, rows.ndim) if by_value else above, told.under),
                answered=[*answered, *((*kept, rows.ndim) for kept in answered)] if by_value else answered,
            )
        )
    return of_rows, found


def _either(first: Pattern, *others: Pattern) -> dict[Axes, Cells]:
    """What some pattern hides, in the tables of the first."""
    found = dict(first)
    for kept in first:
        for other in others:
            if kept in other:
                found[kept] = np.asarray(found[kept] | other[kept])
    return found


def _by_value(pattern: Pattern, axis: int) -> dict[Axes, Cells]:
    """The same pattern for tables that have one more axis, the last, or have it not."""
    divided = {(*kept, axis): hidden[..., None] for kept, hidden in pattern.items()}
    return {**pattern, **divided}
