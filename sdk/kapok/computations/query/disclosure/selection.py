"""What conditions select: cells of a finer table, whose hidden ones an answer must not single out.

Where the table by ward hides b for the sake of a, ``WHERE ward <> 'b'`` would give a back, and ``GROUP BY
stage WHERE ward = 'a'`` cells that the table by ward and stage hides. A condition on columns that can be
grouped by is a choice of cells of a table, so the holder looks at that table: without the conditions,
grouped by what they read as well. Of the cells that it hides in one line, an answer may add up all or none.
Whatever is shown under such conditions is the same for all tables that the pattern leaves open, however
many are asked.

    asked      COUNT(*), AVG(cost)  WHERE ward <> 'b' AND age > 60  GROUP BY stage
    finer      COUNT(*), COUNT(*) FILTER (WHERE ward <> 'b' AND age > 60)  GROUP BY stage, ward

A cell of which the conditions keep some rows and not others, for what they read besides, is neither chosen
nor left out: no total that shows contains its part. What an expression makes of a row is a condition too, as
in ``SUM(CASE WHEN ward <> 'b' THEN 1 ELSE 0 END)``: whether it is known, and whether it is zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from kapok.computations.query.answers.formulas import Line
from kapok.computations.query.asking import Asking
from kapok.computations.query.disclosure.blocks import Cells, Sizes
from kapok.computations.query.disclosure.suppression import MOST_AXES, Axes, Pattern, subsets, suppress
from kapok.computations.query.language.syntax import (
    Aggregate,
    Call,
    Expression,
    Group,
    Name,
    Number,
    Selected,
    Statement,
    walk,
)
from kapok.computations.query.language.writing import in_order, write
from kapok.computations.query.measures import Axis, Measure
from kapok.computations.query.params import Question
from kapok.computations.query.parse import MOST_WORDS, question_of
from kapok.computations.query.rows.meaning import Meaning
from kapok.computations.query.tables import Tables
from kapok.documents.dataset import Dataset
from kapok.errors import InvalidInput

__all__ = ["Selection", "selection", "split"]


@dataclass(frozen=True, slots=True)
class Selection:
    """The finer question behind the conditions of one that is asked.

    Attributes:
        finer: Asks the rows, and the rows of each condition.
        where: What WHERE keeps, None for all rows.
        measures: For each measure the conditions that choose its rows, beside WHERE alone.
        axes: For each axis of the question asked the number that it has in the finer one.
        values: For each measure that counts each value the number of the axis with the values, else None.
        read: The axes of the finer question that some condition reads.
        possible: For each condition, over `read`, which cells it can keep rows of.
    """

    finer: Question
    where: Expression | None
    measures: tuple[tuple[Expression, ...], ...]
    axes: Axes
    values: tuple[int | None, ...]
    read: Axes
    possible: dict[Expression, Cells]

    def patterns(
        self, tables: Tables, least: int, *, show_empty: bool
    ) -> tuple[dict[Axes, Cells], list[dict[Axes, Cells]]]:
        """What WHERE alone makes hidden of the question asked, and what each measure's conditions do.

        Args:
            tables: This holder's numbers for the finer question.
            least: `min_cell` of its policy.
            show_empty: Whether cells without rows show.
        """
        unknown = [axis.unknown for axis in self.finer.axes]
        hidden = suppress(tables.rows, least, show_empty=show_empty, unknown=unknown)
        sizes = {
            measure.text: table.sizes
            for measure, table in zip(self.finer.measures, tables.measures, strict=True)
        }

        def told(condition: Expression, kept: Axes) -> Cells:
            chosen = sizes[_text(condition)]
            return split(tables.rows, chosen, self.possible[condition], hidden, kept, self.read)

        def pattern(conditions: Sequence[Expression], value: int | None) -> dict[Axes, Cells]:
            found: dict[Axes, Cells] = {}
            for places in subsets(len(self.axes)):
                kept = tuple(self.axes[place] for place in places)
                for condition in conditions:
                    found[places] = found.get(places, np.False_) | told(condition, kept)
                    if value is not None and value not in kept:
                        by_value = (*places, len(self.axes))
                        # What is unknown, the last of the axis, is no value that such a measure counts.
                        known = sum(one is not None for one in self.finer.axes[value].values)
                        cells = told(condition, (*kept, value))[..., :known]
                        found[by_value] = found.get(by_value, np.False_) | cells
            return found

        where = () if self.where is None else (self.where,)
        return pattern(where, None), [
            pattern(conditions if value is None else (*conditions, *where), value)
            for conditions, value in zip(self.measures, self.values, strict=True)
        ]


def split(rows: Sizes, chosen: Sizes, possible: Cells, hidden: Pattern, kept: Axes, read: Axes) -> Cells:
    """Which cells of one grouping a condition would make tell of hidden cells of the finer table.

    A cell of the grouping is a line of the table over what it keeps and what conditions read. It must not add
    up some of the line's hidden cells and leave out others; nor all of them, where their sum is hidden.

    Args:
        rows: This holder's rows in the finer table.
        chosen: Those that the condition keeps.
        possible: Over the axes `read`: which cells it can keep any rows of.
        hidden: The pattern of the finer table.
        kept: By which of its axes the grouping is, in the order of the result's axes.
        read: Which of its axes conditions read.
    """
    table = tuple(sorted({*kept, *read}))
    dropped = tuple(axis for axis in range(rows.ndim) if axis not in table)
    count, of_them = rows.sum(axis=dropped), chosen.sum(axis=dropped)
    able = np.expand_dims(possible, tuple(place for place, axis in enumerate(table) if axis not in read))
    over = tuple(place for place, axis in enumerate(table) if axis not in kept)
    some = (hidden[table] & able & (of_them == count)).any(axis=over)
    others = (hidden[table] & (~able | ((of_them == 0) & (count > 0)))).any(axis=over)
    found = np.asarray(some & (others | hidden[tuple(sorted(kept))]))
    return found.transpose(np.argsort(np.argsort(kept))) if kept else found


def selection(question: Question, dataset: Dataset) -> Selection | None:
    """The finer question, or None where no condition reads what can be grouped by.

    Columns without a domain, and columns with which the finer table would be too large, are not grouped by.
    """
    able = {column.name for column in dataset.columns if column.domain or column.type == "boolean"}
    where = question.statement.where
    meaning = Meaning(dataset)
    measures = tuple(_conditions(measure, where, able, meaning) for measure in question.measures)
    listed = [*([] if where is None else [where]), *(one for each in measures for one in each)]
    conditions = tuple(dict.fromkeys(listed))
    grouped = [axis.expression for axis in question.axes]
    parts = {part for condition in conditions for part in walk(condition)}
    read = {part for part in parts if part in grouped or (isinstance(part, Name) and part.name in able)}
    if not read or len(grouped) > MOST_AXES:
        return None
    counted = {measure.arguments[0] for measure in question.measures if measure.spread}
    wanted = {part for part in read | counted if isinstance(part, Name) and part.name in able} - set(grouped)
    finer = _finer(question, dataset, sorted(wanted, key=write), conditions)
    places = {axis.expression: place for place, axis in enumerate(finer.axes)}
    axes_read = tuple(sorted(places[part] for part in read if part in places))
    return Selection(
        finer,
        where,
        measures,
        tuple(places[one] for one in grouped),
        tuple(places.get(measure.arguments[0]) if measure.spread else None for measure in question.measures),
        axes_read,
        {one: _possible(one, tuple(finer.axes[axis] for axis in axes_read), dataset) for one in conditions},
    )


def _conditions(
    measure: Measure, where: Expression | None, able: set[str], meaning: Meaning
) -> tuple[Expression, ...]:
    """What chooses the rows of a measure, beside WHERE alone."""
    held = where if measure.condition is None else _both(where, measure.condition)
    found = [] if measure.condition is None or held is None else [held]
    for argument, term in zip(measure.arguments, measure.terms, strict=True):
        names = {part.name for part in walk(argument) if isinstance(part, Name)}
        if isinstance(argument, Name) or names.isdisjoint(able):
            continue
        found.append(_both(held, Call("not", (Call("is null", (argument,)),))))
        if measure.moments and term.kind == "number" and term.column is None:
            is_condition = meaning.term(argument).kind == "boolean"
            found.append(_both(held, argument if is_condition else Call("<>", (argument, Number(0)))))
    return tuple(found)


def _both(one: Expression | None, other: Expression) -> Expression:
    return other if one is None else Call("and", (*_conjuncts(one), *_conjuncts(other)))


def _conjuncts(condition: Expression) -> tuple[Expression, ...]:
    match condition:
        case Call("and", arguments):
            return arguments
        case _:
            return (condition,)


def _finer(
    question: Question, dataset: Dataset, wanted: Sequence[Name], conditions: Sequence[Expression]
) -> Question:
    """COUNT(*) of all rows and under each condition, grouped by the columns for which there is room."""
    grouped = [axis.expression for axis in question.axes]
    cells = math.prod(len(axis.values) for axis in question.axes)
    added: list[Name] = []
    for column in wanted:
        values = len(dataset.column(column.name).domain or (False, True)) + 1
        if cells * values * 2 * (1 + len(conditions)) <= MOST_WORDS and len(grouped) + len(added) < MOST_AXES:
            cells *= values
            added.append(column)
    asked = [
        Aggregate("count", ()),
        *(Aggregate("count", (), False, condition) for condition in conditions),
        *(one for one in grouped if isinstance(one, Aggregate)),
    ]
    columns = [one for one in (*grouped, *added) if not isinstance(one, Aggregate)]
    statement = Statement(
        selected=tuple(Selected(one, f"n{place}") for place, one in enumerate(asked)),
        source=(dataset.name, False),
        groups=tuple(Group("plain", ((one,),)) for one in columns),
    )
    return question_of(statement, dataset)


def _possible(condition: Expression, axes: Sequence[Axis], dataset: Dataset) -> Cells:
    """Which combinations of values a condition can keep, as far as they alone tell."""
    found = np.ones([len(axis.values) for axis in axes], dtype=np.bool_)
    asking = Asking(dataset)
    asking.axes = tuple(axes)
    for part in _conjuncts(condition):
        try:
            formula = asking.condition(part, {})
        except InvalidInput:
            # It reads something else.
            continue
        for place in product(*(range(len(axis.values)) for axis in axes)):
            if found[place]:
                keys = tuple(axis.cell(axis.values[number]) for axis, number in zip(axes, place, strict=True))
                found[place] = formula.evaluate(Line(keys, (True,) * len(axes), ())) is True
    return found


def _text(condition: Expression) -> str:
    """As `Measure.text` has it of the rows of a condition."""
    return f"* WHERE {write(in_order(condition))}"
