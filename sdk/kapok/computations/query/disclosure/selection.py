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
in ``SUM(CASE WHEN ward <> 'b' THEN 1 ELSE 0 END)``: whether it is known, and whether it is zero. So is each
group of ``GROUP BY ward = 'b'``: what is grouped by or counted by value, and is itself made of columns that
can be grouped by, is *derived*, and the finer table is of the columns instead.

The finer table is part of the defence: a question that leaves no room for it is refused when it is read.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from kapok.computations.language.hints import refuse
from kapok.computations.language.syntax import (
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
from kapok.computations.language.writing import in_order, write
from kapok.computations.query.answers.formulas import Formula, Line
from kapok.computations.query.asking import Asking
from kapok.computations.query.disclosure.blocks import Cells, Sizes
from kapok.computations.query.disclosure.branches import branches_of, summed_branches
from kapok.computations.query.disclosure.suppression import MOST_AXES, Axes, Pattern, subsets, suppress
from kapok.computations.query.grouping import MOST_CELLS
from kapok.computations.query.measures import Axis, Measure
from kapok.computations.query.params import Question
from kapok.computations.query.parse import question_of
from kapok.computations.query.tables import Tables
from kapok.computations.rows.conditions import is_fixed
from kapok.computations.rows.meaning import Meaning
from kapok.computations.rows.operations import MOST_CODE, too_long
from kapok.computations.rows.terms import Term
from kapok.documents.dataset import Dataset
from kapok.errors import InvalidInput

__all__ = ["Choice", "Selection", "check_selection", "selection", "split"]

_MOST_COUNTS: Final = 500_000
"""Most counts that a holder takes of the finer table, for all conditions together."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What a condition, or a derived expression, can make of the cells of the finer table.

    Attributes:
        read: The axes of the finer question that it reads.
        possible: Over these, of which cells it can keep rows; of an expression with one axis more, the last,
            for its values.
    """

    read: Axes
    possible: Cells


@dataclass(frozen=True, slots=True)
class Selection:
    """The finer question behind the conditions of one that is asked.

    Attributes:
        finer: Asks the rows, and the rows of each condition.
        where: What WHERE keeps, None for all rows.
        measures: For each measure the conditions that choose its rows, beside WHERE alone.
        axes: For each axis of the question asked the number that it has in the finer one.
        values: For each measure that counts each value the number of the axis with the values, else None.
        columns: The axes of the finer question that its table is of: all that are not derived.
        choices: What each condition and each derived expression chooses.
    """

    finer: Question
    where: Expression | None
    measures: tuple[tuple[Expression, ...], ...]
    axes: Axes
    values: tuple[int | None, ...]
    columns: Axes
    choices: dict[Expression, Choice]

    def patterns(
        self, tables: Tables, least: int, *, show_empty: bool
    ) -> tuple[dict[Axes, Cells], list[dict[Axes, Cells]]]:
        """What WHERE alone makes hidden of the question asked, and what each measure's conditions do.

        Args:
            tables: This holder's numbers for the finer question.
            least: `min_cell` of its policy.
            show_empty: Whether cells without rows show.
        """
        derived = tuple(axis for axis in range(tables.rows.ndim) if axis not in self.columns)
        rows = np.asarray(tables.rows.sum(axis=derived))
        unknown = [self.finer.axes[axis].unknown for axis in self.columns]
        hidden = suppress(rows, least, show_empty=show_empty, unknown=unknown)
        counts = {
            measure.text: table.sizes
            for measure, table in zip(self.finer.measures, tables.measures, strict=True)
        }

        def told(condition: Expression | None, kept: Axes) -> Cells:
            chosen = tables.rows if condition is None else counts[_text(condition)]
            return self._told(rows, chosen, condition, hidden, kept)

        def pattern(conditions: Sequence[Expression | None], value: int | None) -> dict[Axes, Cells]:
            found: dict[Axes, Cells] = {}
            for places in subsets(len(self.axes)):
                kept = tuple(self.axes[place] for place in places)
                for condition in conditions:
                    found[places] = np.asarray(found.get(places, np.False_) | told(condition, kept))
                    if value is not None and value not in kept:
                        by_value = (*places, len(self.axes))
                        # What is unknown, the last of the axis, is no value that such a measure counts.
                        known = sum(one is not None for one in self.finer.axes[value].values)
                        cells = told(condition, (*kept, value))[..., :known]
                        found[by_value] = np.asarray(found.get(by_value, np.False_) | cells)
            return found

        return pattern((self.where,), None), [
            pattern(conditions if value is None else (*conditions, self.where), value)
            for conditions, value in zip(self.measures, self.values, strict=True)
        ]

    def _told(
        self, rows: Sizes, chosen: Sizes, condition: Expression | None, hidden: Pattern, kept: Axes
    ) -> Cells:
        """As `split`, of a grouping that can be by derived axes as well: each of their values chooses."""
        derived = tuple(axis for axis in kept if axis not in self.columns)
        if condition is None and not derived:
            return np.zeros([len(self.finer.axes[axis].values) for axis in kept], dtype=np.bool_)
        every = tuple(axis for axis in range(chosen.ndim) if axis in self.columns or axis in derived)
        chosen = np.asarray(
            chosen.sum(axis=tuple(axis for axis in range(chosen.ndim) if axis not in every))
        ).transpose([every.index(axis) for axis in (*derived, *self.columns)])
        choices = [] if condition is None else [(self.choices[condition], -1)]
        choices += [(self.choices[self.finer.axes[axis].expression], n) for n, axis in enumerate(derived)]
        read = tuple(sorted({axis for choice, _ in choices for axis in choice.read}))
        plain = tuple(axis for axis in kept if axis in self.columns)
        by, of = (tuple(self.columns.index(axis) for axis in axes) for axes in (plain, read))
        found = np.zeros([len(self.finer.axes[axis].values) for axis in (*derived, *plain)], dtype=np.bool_)
        for place in np.ndindex(chosen.shape[: len(derived)]):
            possible = np.ones((1,) * len(read), dtype=np.bool_)
            for choice, number in choices:
                cells = choice.possible if number < 0 else choice.possible[..., place[number]]
                others = tuple(at for at, axis in enumerate(read) if axis not in choice.read)
                possible = possible & np.expand_dims(cells, others)
            found[place] = split(rows, chosen[place], possible, hidden, by, of)
        return found.transpose([(*derived, *plain).index(axis) for axis in kept])


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
    # Roots and quotients of rows are rounded: what has rows is possible, whatever was computed of the values.
    able = able | (of_them > 0)
    over = tuple(place for place, axis in enumerate(table) if axis not in kept)
    some = (hidden[table] & able & (of_them == count)).any(axis=over)
    others = (hidden[table] & (~able | ((of_them == 0) & (count > 0)))).any(axis=over)
    found = np.asarray(some & (others | hidden[tuple(sorted(kept))]))
    return found.transpose(np.argsort(np.argsort(kept))) if kept else found


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the finer question has to ask.

    Attributes:
        measures: For each measure the conditions that choose its rows, beside WHERE alone.
        conditions: All of them, WHERE included.
        derived: What is grouped by, or counted by value, and made of columns that can be grouped by.
        grouped: What else is grouped by.
        columns: The columns that the finer table is grouped by besides.
    """

    measures: tuple[tuple[Expression, ...], ...]
    conditions: tuple[Expression, ...]
    derived: tuple[Expression, ...]
    grouped: tuple[Expression, ...]
    columns: tuple[Name, ...]


def check_selection(question: Question, dataset: Dataset) -> None:
    """Refuse a question that leaves no room for the finer table that its conditions need.

    Raises:
        InvalidInput: ``too_many_cells``, or ``question_too_long`` when its conditions, written out once more,
            are too much for an engine.
    """
    plan = _plan(question, dataset)
    if plan is not None:
        _finer(question, dataset, plan)


def selection(question: Question, dataset: Dataset) -> Selection | None:
    """The finer question, or None where no condition reads what can be grouped by.

    Columns without a domain are not grouped by.

    Raises:
        InvalidInput: as `check_selection`.
    """
    plan = _plan(question, dataset)
    if plan is None:
        return None
    finer = _finer(question, dataset, plan)
    places = {axis.expression: place for place, axis in enumerate(finer.axes)}
    columns = tuple(sorted(places[one] for one in (*plan.grouped, *plan.columns)))
    choices = {}
    for one in (*plan.conditions, *plan.derived):
        parts = set(walk(one))
        read = tuple(axis for axis in columns if finer.axes[axis].expression in parts)
        axes = [finer.axes[axis] for axis in read]
        value = None if one in plan.conditions else finer.axes[places[one]]
        choices[one] = Choice(read, _possible(one, axes, value, dataset))
    return Selection(
        finer,
        question.statement.where,
        plan.measures,
        tuple(places[axis.expression] for axis in question.axes),
        tuple(places.get(measure.arguments[0]) if measure.spread else None for measure in question.measures),
        columns,
        choices,
    )


def _plan(question: Question, dataset: Dataset) -> _Plan | None:
    able = {column.name for column in dataset.columns if column.domain or column.type == "boolean"}
    where = question.statement.where
    meaning = Meaning(dataset)
    _check_branches(question, meaning)
    measures = tuple(_conditions(measure, where, able, meaning) for measure in question.measures)
    listed = [*([] if where is None else [where]), *(one for each in measures for one in each)]
    conditions = tuple(dict.fromkeys(listed))
    axes = [axis.expression for axis in question.axes]
    counted = [one.arguments[0] for one in question.measures if one.spread and one.terms[0].number is None]
    derived = tuple(dict.fromkeys(one for one in (*axes, *counted) if _is_derived(one, able)))
    grouped = tuple(one for one in axes if one not in derived)
    parts = {part for one in (*conditions, *derived) for part in walk(one)}
    read = {part for part in parts if part in grouped or (isinstance(part, Name) and part.name in able)}
    if not read:
        return None
    wanted = {part for part in (*read, *counted) if isinstance(part, Name) and part.name in able}
    columns = tuple(sorted(wanted - set(grouped), key=write))
    _check_room(question, dataset, _Plan(measures, conditions, derived, grouped, columns))
    return _Plan(measures, conditions, derived, grouped, columns)


def _check_branches(question: Question, meaning: Meaning) -> None:
    """Refuse what a holder could not count, the branches' own numbers included."""
    counts = size = 0
    for measure in question.measures:
        for place in range(len(measure.arguments)):
            for branches in summed_branches(measure, place):
                size += meaning.term(branches.number).code.size
                counts += branches.count
    if size > MOST_CODE:
        raise too_long()
    if counts * math.prod(len(axis.values) for axis in question.axes) > _MOST_COUNTS:
        raise refuse(
            "too many branches of CASE in too many groups to see that none is of few rows",
            "sum with fewer branches, or group by what they tell apart",
            "too_many_cells",
        )


def _is_derived(expression: Expression, able: set[str]) -> bool:
    read = (part.name for part in walk(expression) if isinstance(part, Name))
    return not isinstance(expression, Name) and not able.isdisjoint(read)


def _check_room(question: Question, dataset: Dataset, plan: _Plan) -> None:
    cells = math.prod(len(axis.values) for axis in question.axes)
    cells *= math.prod(len(dataset.column(one.name).domain or (False, True)) + 1 for one in plan.columns)
    counted = {one.arguments[0]: len(one.values) + 1 for one in question.measures if one.spread}
    axes = {axis.expression for axis in question.axes}
    cells *= math.prod(size for one, size in counted.items() if one in plan.derived and one not in axes)
    tables = 1 + len(plan.conditions)
    if (
        cells > MOST_CELLS
        or cells * tables > _MOST_COUNTS
        or len(plan.grouped) + len(plan.columns) > MOST_AXES
    ):
        named = ", ".join(write(one) for one in (*plan.columns, *plan.derived)) or "a condition"
        raise refuse(
            f"beside what it groups by, the question reads {named}: too many groups at once",
            "group by fewer or coarser things, or ask with fewer conditions at once",
            "too_many_cells",
        )


def _conditions(
    measure: Measure, where: Expression | None, able: set[str], meaning: Meaning
) -> tuple[Expression, ...]:
    """What chooses the rows of a measure, beside WHERE alone."""
    held = where if measure.condition is None else _both(where, measure.condition)
    found = [] if measure.condition is None or held is None else [held]
    for argument, term in zip(measure.arguments, measure.terms, strict=True):
        names = {part.name for part in walk(argument) if isinstance(part, Name)}
        found += [_both(held, one) for one in _chosen_inside(measure, argument, term, able, meaning)]
        if isinstance(argument, Name) or names.isdisjoint(able) or is_fixed(meaning.term(argument)):
            continue
        found.append(_both(held, Call("not", (Call("is null", (argument,)),))))
        if measure.moments and term.kind == "number" and term.column is None:
            is_condition = meaning.term(argument).kind == "boolean"
            found.append(_both(held, argument if is_condition else Call("<>", (argument, Number(0)))))
    return tuple(found)


def _chosen_inside(
    measure: Measure, argument: Expression, term: Term, able: set[str], meaning: Meaning
) -> Iterator[Expression]:
    """The branches inside what is summed, and the lengths of texts."""
    if not measure.moments or (term.two_values is not None and 0 in term.two_values):
        return
    for branches in branches_of(argument):
        if _is_derived(branches.number, able):
            yield from branches.conditions
    for part in walk(argument):
        if isinstance(part, Call) and part.name == "length" and _is_derived(part, able):
            lengths = meaning.term(part).possible or ()
            yield from (Call("=", (part, Number(int(length), 0))) for length in lengths)


def _both(one: Expression | None, other: Expression) -> Expression:
    return other if one is None else Call("and", (*_conjuncts(one), *_conjuncts(other)))


def _conjuncts(condition: Expression) -> tuple[Expression, ...]:
    match condition:
        case Call("and", arguments):
            return arguments
        case _:
            return (condition,)


def _finer(question: Question, dataset: Dataset, plan: _Plan) -> Question:
    """COUNT(*) of all rows and under each condition, grouped by all that is read."""
    grouped = dict.fromkeys([*(axis.expression for axis in question.axes), *plan.columns, *plan.derived])
    asked = [
        Aggregate("count", ()),
        *(Aggregate("count", (), False, condition) for condition in plan.conditions),
        *(one for one in grouped if isinstance(one, Aggregate)),
    ]
    statement = Statement(
        selected=tuple(Selected(one, f"n{place}") for place, one in enumerate(asked)),
        source=(dataset.name, False),
        groups=tuple(Group("plain", ((one,),)) for one in grouped if not isinstance(one, Aggregate)),
    )
    return question_of(statement, dataset, 2 * _MOST_COUNTS)


def _possible(one: Expression, axes: Sequence[Axis], value: Axis | None, dataset: Dataset) -> Cells:
    """Which combinations of values a condition can keep, or give each value, as far as they alone tell."""
    found = np.ones([len(axis.values) for axis in axes], dtype=np.bool_)
    asking = Asking(dataset)
    asking.axes = tuple(axes)

    def evaluated(formula: Formula, place: tuple[int, ...]) -> object:
        keys = tuple(axis.cell(axis.values[number]) for axis, number in zip(axes, place, strict=True))
        return formula.evaluate(Line(keys, (True,) * len(axes), ()))

    if value is not None:
        values = [value.cell(each) for each in value.values]
        of_values = np.ones([*found.shape, len(values)], dtype=np.bool_)
        with contextlib.suppress(InvalidInput):
            formula = asking.formulas.read(one, {})
            for place in np.ndindex(found.shape):
                of_values[place] = [each == evaluated(formula, place) for each in values]
        return of_values
    for part in _conjuncts(one):
        # What reads something else tells nothing.
        with contextlib.suppress(InvalidInput):
            formula = asking.condition(part, {})
            for place in np.ndindex(found.shape):
                found[place] = found[place] and evaluated(formula, place) is True
    return found


def _text(condition: Expression) -> str:
    """As `Measure.text` has it of the rows of a condition."""
    return f"* WHERE {write(in_order(condition))}"
