"""GROUP BY: which expressions are grouped by, all their values, and which groupings are answered."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Final

from kapok.computations.language.hints import refuse
from kapok.computations.language.syntax import (
    Aggregate,
    Expression,
    Group,
    Name,
    Number,
    Statement,
    walk,
)
from kapok.computations.language.writing import write
from kapok.computations.query.measures import Axis
from kapok.computations.rows.arithmetic import add, number, quotient, whole_number
from kapok.computations.rows.meaning import Meaning
from kapok.computations.rows.operations import Choice, Operation, Whole
from kapok.computations.rows.terms import Term, constant
from kapok.documents.dataset import Dataset

__all__ = ["MOST_CELLS", "Groupings"]

MOST_CELLS: Final = 100_000
_MOST_SETS: Final = 64
_MOST_BINS: Final = 1000


class Groupings:
    """The groupings of one statement.

    Attributes:
        axes: Everything that is grouped by, none twice.
        sets: For each grouping the numbers of its axes, ascending, no grouping twice.
    """

    def __init__(
        self,
        statement: Statement,
        dataset: Dataset,
        meaning: Meaning,
        aliases: Mapping[str, Expression],
    ) -> None:
        self._statement = statement
        self._dataset = dataset
        self._meaning = meaning
        self._aliases = aliases
        self._places: dict[Expression, int] = {}
        self._axes: list[Axis] = []
        elements = [self._sets(group) for group in statement.groups]
        bins = tuple(
            self._axis(item.expression)
            for item in statement.selected
            if isinstance(item.expression, Aggregate) and item.expression.name == "histogram"
        )
        if math.prod(map(len, elements)) > _MOST_SETS:
            raise refuse("the question has too many groupings", f"at most {_MOST_SETS}", "too_many_cells")
        combined = (itertools.chain(*chosen, bins) for chosen in itertools.product(*elements))
        self.sets = tuple(dict.fromkeys(tuple(sorted(set(kept))) for kept in combined))
        self.axes = tuple(self._axes)
        # A holder works on the table over all axes, whichever of its margins are asked.
        cells = math.prod(len(axis.values) for axis in self.axes)
        if cells > MOST_CELLS:
            raise refuse(
                f"the question has {cells} groups, too many for one answer",
                f"group by fewer or coarser things: at most {MOST_CELLS} groups",
                "too_many_cells",
            )

    def _sets(self, group: Group) -> list[tuple[int, ...]]:
        lists = [tuple(self._axis(self._resolved(one)) for one in listed) for listed in group.lists]
        match group.kind:
            case "plain" | "sets":
                return lists
            case "rollup":
                return [tuple(itertools.chain(*lists[:kept])) for kept in range(len(lists), -1, -1)]
            case "cube":
                if 2 ** len(lists) > _MOST_SETS:
                    raise refuse(
                        "the question has too many groupings", f"at most {_MOST_SETS}", "too_many_cells"
                    )
                return [
                    tuple(itertools.chain(*chosen))
                    for size in range(len(lists), -1, -1)
                    for chosen in itertools.combinations(lists, size)
                ]

    def _resolved(self, expression: Expression) -> Expression:
        """What a position or another name stands for."""
        selected = self._statement.selected
        match expression:
            case Number(units, 0):
                if not 1 <= units <= len(selected):
                    raise refuse(
                        "GROUP BY names a column that is not there", f"write 1 to {len(selected)}", "bad_sql"
                    )
                found = selected[units - 1].expression
            case Name(name) if name in self._aliases:
                found = self._aliases[name]
            case _:
                return expression
        if any(isinstance(part, Aggregate) for part in walk(found)):
            raise refuse(f"{write(found)} cannot be grouped by", "group by what is known of a single row")
        return found

    def _axis(self, expression: Expression) -> int:
        if expression not in self._places:
            if isinstance(expression, Aggregate):
                term = histogram_term(expression, self._meaning)
            else:
                term = self._meaning.term(expression)
            self._axes.append(Axis(expression, term, self._values(expression, term)))
            self._places[expression] = len(self._axes) - 1
        return self._places[expression]

    def _values(self, expression: Expression, term: Term) -> tuple[int | str | bool | None, ...]:
        if term.kind == "null" or term.number is not None:
            raise refuse("GROUP BY names a constant", "leave it out")
        values: tuple[int | str | bool, ...]
        if term.kind == "boolean":
            values = (False, True)
        elif term.possible is None:
            raise self._unknown(expression, term)
        else:
            values = tuple(term.possible)
        return (*values, None) if term.nullable else values

    def _unknown(self, expression: Expression, term: Term) -> Exception:
        able = [column.name for column in self._dataset.columns if column.groups is not None]
        return refuse(
            f"{write(expression)} can have too many values to group by them"
            if term.kind != "text"
            else f"column {write(expression)} has no declared domain, so its groups are not public",
            f"group by coarser steps, e.g. FLOOR({write(expression)} / 10) * 10"
            + (" or DATE_TRUNC('month', …)" if term.kind in ("date", "timestamp") else "")
            + (f"; or by {', '.join(able[:20])}" if able else ""),
            "no_domain",
        )


def histogram_term(histogram: Aggregate, meaning: Meaning) -> Term:
    """Which bin of equal width a value falls into, from 0; the largest value is in the last bin.

    Raises:
        InvalidInput: ``type_mismatch``, ``bad_sql``, ``unsupported_sql`` or ``number_too_large``.
    """
    term, bins = _histogram_parts(histogram, meaning)
    span = term.high - term.low
    steps = replace(term, kind="number", scale=Fraction(1), values=None, column=None)
    moved = add(steps, constant(-term.low))
    if not span:
        return moved
    found = quotient(moved, None, Fraction(bins, span), "floor")
    at_end = Operation("=", (moved.code, Whole(span)))
    code = Choice(((at_end, Whole(bins - 1)),), found.code)
    return Term("number", code, term.nullable, 0, bins - 1)


def bins_of(histogram: Expression, meaning: Meaning) -> tuple[Fraction, Fraction]:
    """The lower bound of the first bin, and the width of each."""
    term, bins = _histogram_parts(histogram, meaning)
    return term.low * term.scale, (term.high - term.low) * term.scale / bins


def _histogram_parts(histogram: Expression, meaning: Meaning) -> tuple[Term, int]:
    if (
        not isinstance(histogram, Aggregate)
        or len(histogram.arguments) != 2
        or histogram.distinct
        or histogram.condition is not None
    ):
        raise refuse(
            "HISTOGRAM takes a number and how many bins", "write HISTOGRAM(x, 10); filter with WHERE"
        )
    term = number("HISTOGRAM", meaning.term(histogram.arguments[0]))
    bins = whole_number("HISTOGRAM", meaning.term(histogram.arguments[1]))
    if not 1 <= bins <= _MOST_BINS or term.number is not None:
        raise refuse(
            f"HISTOGRAM has 1 to {_MOST_BINS} bins of a number", "write HISTOGRAM(x, 10)", "type_mismatch"
        )
    return term, bins
