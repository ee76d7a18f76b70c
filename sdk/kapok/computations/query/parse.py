"""From a text and a dataset to a `Question`."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from fractions import Fraction
from hashlib import sha256
from typing import Final

from kapok.computations.language.clauses import read_source, read_statement
from kapok.computations.language.hints import refuse, shown
from kapok.computations.language.lexing import MOST_BYTES
from kapok.computations.language.naming import names_of, without_idle_names
from kapok.computations.language.syntax import (
    Aggregate,
    Call,
    Expression,
    Name,
    Number,
    Order,
    Selected,
    Statement,
    walk,
)
from kapok.computations.query.answers.formulas import Formula, Line
from kapok.computations.query.answers.values import Cell, exact
from kapok.computations.query.asking import Asking
from kapok.computations.query.grouping import Groupings
from kapok.computations.query.params import DatasetReference, Item, Question, Ranking
from kapok.computations.query.quantiles import check_quantiles
from kapok.computations.rows.operations import MOST_CODE, too_long
from kapok.documents.dataset import Dataset
from kapok.errors import InternalError

__all__ = ["MOST_WORDS", "parse", "question_of", "reference_of"]

MOST_WORDS: Final = 100_000

_MOST_CONDITIONS: Final = 32
_MOST_BEHIND: Final = 5 * MOST_CODE  # of the question that a holder makes of one that was written

_REFERENCE: Final = re.compile(r"([a-z][a-z0-9_]{0,62})@([0-9a-f]{4,64})\Z")


def parse(sql: str, dataset: Dataset) -> Question:
    """Read a question over the dataset. See `reading.read_question`."""
    try:
        question = question_of(read_statement(sql), dataset)
        _check_work(question)
        written = question.sql
        if written != sql:
            # The canonical text is what travels and what nodes parse: it must keep within the limits too.
            if len(written.encode()) > MOST_BYTES:
                raise refuse(
                    "the question is too long when written out", "ask for less at once", "question_too_long"
                )
            if _normal(read_statement(written), dataset) != question.statement:
                raise InternalError("the written question says something else than the one asked")
    except RecursionError:
        raise refuse("the question is nested too deeply", "simplify it", "question_too_long") from None
    return question


def _check_work(question: Question) -> None:
    """Refuse what would occupy every holder's engine, and the reading of what it gives.

    A measure that some rows lack can double the atoms of an engine's result, up to one for each row.
    """
    if _size(question) > MOST_CODE:
        raise too_long()
    if sum(measure.can_lack for measure in question.measures) > _MOST_CONDITIONS:
        raise refuse(
            "the question has too many aggregates that some rows have and others lack",
            f"ask at most {_MOST_CONDITIONS} with FILTER, CASE or columns that can be null at once, "
            "or group by what tells the rows apart",
            "too_many_conditions",
        )


def _size(question: Question) -> int:
    """How many operations of one row an engine's SQL writes out."""
    where = 0 if question.where is None else question.where.size
    axes = sum(axis.term.code.size for axis in question.axes)
    return where + axes + sum(measure.size for measure in question.measures)


def reference_of(sql: str) -> DatasetReference:
    """Read only what stands after FROM: ``heart``, or ``"heart@9f2c"`` with the beginning of the hash.

    Raises:
        InvalidInput: as `reading.read_question`, as far as the dataset need not be known for it.
    """
    return _reference(read_source(sql))


def _reference(source: tuple[str, bool]) -> DatasetReference:
    name, quoted = source
    if not quoted or "@" not in name:
        return DatasetReference(name, None)
    found = _REFERENCE.match(name)
    if found is None:
        raise refuse(
            f"{shown(name)} is not a dataset's name with the beginning of its hash",
            'write "name@hash" with at least 4 hexadecimal digits',
            "bad_sql",
        )
    return DatasetReference(found[1], found[2])


def _check_reference(reference: DatasetReference, dataset: Dataset) -> None:
    if reference.name != dataset.name:
        raise refuse(
            f"the question asks {shown(reference.name)}, not {dataset.name}",
            f"write FROM {dataset.name}",
            "unknown_dataset",
        )
    if reference.prefix and not sha256(dataset.to_payload()).hexdigest().startswith(reference.prefix):
        raise refuse(
            f"the question asks another version of {dataset.name}, whose hash begins with {reference.prefix}",
            "write the beginning of this dataset's hash, or its name alone",
            "unknown_dataset",
        )


def _normal(statement: Statement, dataset: Dataset) -> Statement:
    """The statement without what says nothing: a hash, names that are given anyway, groups named twice."""
    selected = without_idle_names(statement.selected)
    groups = tuple(dict.fromkeys(statement.groups))
    return replace(statement, selected=selected, source=(dataset.name, False), groups=groups)


def question_of(written: Statement, dataset: Dataset, most_words: int = MOST_WORDS) -> Question:
    """The question of a statement, of so many words at most. Raises as `reading.read_question`."""
    _check_reference(_reference(written.source), dataset)
    statement = _normal(written, dataset)
    asking = Asking(dataset)
    where = None
    if statement.where is not None:
        where = asking.meaning.condition("WHERE", statement.where).code
    aliases = _aliases(statement, dataset)
    groupings = Groupings(statement, dataset, asking.meaning, aliases)
    asking.axes = groupings.axes
    # In HAVING and ORDER BY a name may stand for what is selected under it.
    named = {item.alias: item.expression for item in statement.selected if item.alias is not None}
    _check_names(statement, named.keys(), dataset)
    items = _items(statement, asking)
    having = None
    if statement.having is not None:
        having = asking.condition(statement.having, named)
    order = tuple(_ranking(one, items, asking, named) for one in statement.order)
    if not asking.measures:
        raise refuse("the question asks no COUNT, SUM or other aggregate", "add COUNT(*)")
    measures = asking.finished()
    bound = max(measure.check(dataset.rows_max) for measure in measures)
    question = Question(
        statement,
        dataset.name,
        items,
        groupings.axes,
        groupings.sets,
        measures,
        tuple(asking.results),
        where,
        having,
        order,
        bound,
    )
    check_quantiles(question)
    if _size(question) > _MOST_BEHIND:
        raise too_long()
    if question.words > most_words:
        raise refuse(
            f"the question has {question.cells} groups, too many for one answer",
            f"group by fewer columns: {question.words} words, at most {most_words}",
            "too_many_cells",
        )
    return question


def _check_names(statement: Statement, aliases: Collection[str], dataset: Dataset) -> None:
    """Refuse a name that is nothing's, before anything else is said of it."""
    roots = [item.expression for item in statement.selected] + [one.expression for one in statement.order]
    for root in roots if statement.having is None else [*roots, statement.having]:
        for part in walk(root):
            if isinstance(part, Name) and part.name not in aliases:
                dataset.column(part.name)


def _aliases(statement: Statement, dataset: Dataset) -> dict[str, Expression]:
    """What GROUP BY may name: what is selected under another name, where no column has it."""
    columns = {column.name for column in dataset.columns}
    return {
        item.alias: item.expression
        for item in statement.selected
        if item.alias is not None and item.alias not in columns
    }


def _items(statement: Statement, asking: Asking) -> tuple[Item, ...]:
    items: list[Item] = []
    for selected, name in zip(statement.selected, names_of(statement.selected), strict=True):
        items += _selected(selected, name, asking)
    seen: set[str] = set()
    for item in items:
        if item.name in seen:
            raise refuse(
                f"two columns of the answer are called {item.name}", "give one of them AS name", "name_twice"
            )
        seen.add(item.name)
    return tuple(items)


def _selected(selected: Selected, name: str, asking: Asking) -> list[Item]:
    expression = selected.expression
    if isinstance(expression, Aggregate) and expression.name == "histogram":
        return _histogram(expression, name, asking)
    formula = asking.formulas.read(expression, {})
    column = None
    if asking.key(expression) is not None:
        kind = "group"
        column = expression.name if isinstance(expression, Name) else None
    elif isinstance(expression, Aggregate):
        kind = expression.name if expression.arguments else "rows"
        kind = "count_distinct" if expression.distinct else kind
        one = expression.arguments
        column = one[0].name if len(one) == 1 and isinstance(one[0], Name) else None
    else:
        kind = "expression"
    return [Item(name, kind, column, formula)]


def _histogram(histogram: Aggregate, name: str, asking: Asking) -> list[Item]:
    """The bounds of each bin, and the count of rows in it."""
    place = next(place for place, axis in enumerate(asking.axes) if axis.expression == histogram)
    first, width = asking.bins(place)
    column = histogram.arguments[0].name if isinstance(histogram.arguments[0], Name) else None
    count, counted = asking.aggregate(Aggregate("count", ()))

    def edge(by: int) -> Formula:
        def evaluate(line: Line) -> Cell:
            number = line.keys[place]
            return first + (number + by) * width if isinstance(number, Fraction) else None

        largest = max(abs(first), abs(first + width * len(asking.axes[place].values)))
        return Formula(evaluate, exact(Fraction(1, (first.denominator * width.denominator)), largest))

    return [
        Item(f"{name}_from", "group", None, edge(0)),
        Item(f"{name}_to", "group", None, edge(1)),
        Item(name, "histogram", column, Formula(lambda line: line.results[count], counted)),
    ]


def _ranking(
    order: Order,
    items: tuple[Item, ...],
    asking: Asking,
    named: dict[str, Expression],
) -> Ranking:
    expression = order.expression
    match expression:
        case Number(units, 0) | Call("neg", (Number(units, 0),)):
            if not 1 <= units <= len(items) or isinstance(expression, Call):
                raise refuse(
                    "ORDER BY names a column that is not there", f"write 1 to {len(items)}", "bad_sql"
                )
            return Ranking(items[units - 1].formula, order.descending, order.nulls_first)
        case Name(name):
            # By name also what has its name from itself, as ``count`` of COUNT(*).
            for item in items:
                if item.name == name:
                    return Ranking(item.formula, order.descending, order.nulls_first)
        case _:
            pass
    return Ranking(asking.formulas.read(expression, named), order.descending, order.nulls_first)
