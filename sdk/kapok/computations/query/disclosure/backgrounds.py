"""Whether a sum is of few rows beside a background of rows that all have one value.

    SELECT COUNT(*), SUM(cost) FROM stays WHERE cost = 70 OR (…one person…)

Every row contributes, none dominates; and whoever takes 70 for each row but one off the sum has the person's
cost. So the rows that do not have the commonest value must be none or as many as a cell. A background whose
value nobody knows is no background: the rule is for sums of what the question's own conditions look at and of
what the question itself computes; natural sums of few levels are left alone.

    SELECT SUM(cost + 1000000) - 1000000 * COUNT(*) FROM stays

Whatever is added to each row goes into magnitudes, and hides who dominates them. So the dominance rules look
at the same sums *shifted* as well: at how far each value is from the smallest of the cell, and how far from
the largest.

The commonest value is not asked for, which would take a table of all values beside the data: the m smallest
and the m largest, m being the least cell, tell it whenever fewer than m rows have another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from kapok.computations.language.syntax import Expression, Name, walk
from kapok.computations.query.disclosure.dominance import Magnitudes
from kapok.computations.query.measures import Measure
from kapok.computations.query.params import Question

__all__ = ["Extremes", "few_others", "looked_at", "shifted", "together"]


@dataclass(frozen=True, slots=True)
class Extremes:
    """Values of one cell of one sum, in whole steps.

    Attributes:
        count: How many there are.
        total: Their sum.
        smallest: The m smallest, ascending; all of them where there are fewer.
        largest: The m largest, descending; all of them where there are fewer.
    """

    count: int = 0
    total: int = 0
    smallest: tuple[int, ...] = ()
    largest: tuple[int, ...] = ()


def looked_at(question: Question, measure: Measure, argument: int) -> bool:
    """Whether the question can make a background of the measure's argument.

    It can by computing it, and by a condition that reads its column.
    """
    if not isinstance(measure.arguments[argument], Name):
        return True
    read = _names(question.statement.where) | _names(measure.condition)
    return not read.isdisjoint(_names(measure.arguments[argument]))


def _names(expression: Expression | None) -> set[str]:
    return set() if expression is None else {part.name for part in walk(expression) if isinstance(part, Name)}


def together(several: Iterable[Extremes], least: int) -> Extremes:
    """Those of several cells as one."""
    listed = list(several)
    return Extremes(
        sum(each.count for each in listed),
        sum(each.total for each in listed),
        tuple(sorted(value for each in listed for value in each.smallest)[:least]),
        tuple(sorted((value for each in listed for value in each.largest), reverse=True)[:least]),
    )


def shifted(extremes: Extremes) -> tuple[Magnitudes, ...]:
    """The magnitudes of the same values less the smallest of them, and of the largest less each of them."""
    if not extremes.smallest or not extremes.largest:
        return ()
    least, most = extremes.smallest[0], extremes.largest[0]
    return (
        Magnitudes(
            extremes.total - extremes.count * least, tuple(value - least for value in extremes.largest)
        ),
        Magnitudes(
            extremes.count * most - extremes.total, tuple(most - value for value in extremes.smallest)
        ),
    )


def few_others(extremes: Extremes, least: int) -> bool:
    """Whether some rows have another value than the commonest, but fewer than `least`."""
    count, smallest, largest = extremes.count, extremes.smallest[:least], extremes.largest[:least]
    if count < 2 * least:
        # The two lists together have every value.
        values = (*smallest, *largest[: max(0, count - least)])
        others = count - max(Counter(values).values(), default=0)
    elif not least or smallest[least - 1] != largest[least - 1]:
        return False
    else:
        commonest = smallest[least - 1]
        others = sum(value < commonest for value in smallest) + sum(value > commonest for value in largest)
    return 0 < others < least
