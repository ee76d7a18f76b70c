"""The analyst's half: the sum of all holders' words → an answer with every suppressed cell labelled.

A cell is shown exactly if the sum of its flags is 0: if every holder showed it. A flag above 0 tells that
somebody suppressed, not who or how many, and the other words of the cell then mean nothing and are not
looked at. What follows after aggregation (expressions of aggregates, HAVING, ORDER BY, LIMIT) is computed
here, exactly.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from kapok.computations.language.syntax import Call, Expression
from kapok.computations.query.aggregates import AGGREGATES, Moment, Sums
from kapok.computations.query.answers.formulas import Line
from kapok.computations.query.answers.values import (
    SUPPRESSED,
    Cell,
    Value,
    ValueTypeName,
    delivered,
)
from kapok.computations.query.measures import Measure
from kapok.computations.query.params import Question, Ranking
from kapok.documents.dataset import Dataset
from kapok.errors import PeerProtocolError
from kapok.protocols.secure_sum.params import MOST_MEMBERS

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Answer", "AnswerColumn", "Value", "answer", "impossible", "known_rows"]


@dataclass(frozen=True, slots=True)
class AnswerColumn:
    """One column of an answer.

    Attributes:
        name: As the question calls it.
        kind: ``group``, ``rows``, the name of an aggregate, ``grouping``, ``histogram`` or ``expression``.
        type: Of its values: counts and sums of integers ``int64``, or ``decimal`` where the schema's bounds
            allow a sum beyond 64 bits; sums of decimals ``decimal``, exact to the resolution; averages and
            what is divided or rooted ``float64``, correctly rounded; ``text``, ``boolean``, ``date``,
            ``timestamp``.
        decimals: Digits after the point of a ``decimal``.
        column: The dataset's column, where it is of one and nothing more.
        unit: The column's unit, where the value has it.
    """

    name: str
    kind: str
    type: ValueTypeName
    decimals: int
    column: str | None
    unit: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the analyst gets.

    Attributes:
        columns: In the order of SELECT.
        rows: One for each group, in the order of ORDER BY, else of the domains, one grouping after the other;
            one if nothing is grouped. None where a cell is suppressed, and where SQL gives null: a sum or
            average of no known value.
        suppressed: Which cells some holder suppressed: (index of the row, name of the column).
        undecided: Indices of the rows of which HAVING cannot be told, since it needs what is suppressed.
    """

    columns: tuple[AnswerColumn, ...]
    rows: tuple[tuple[Value, ...], ...]
    suppressed: tuple[tuple[int, str], ...]
    undecided: tuple[int, ...] = ()

    def to_dicts(self) -> list[dict[str, Value]]:
        """The rows as dictionaries."""
        names = [column.name for column in self.columns]
        return [dict(zip(names, row, strict=True)) for row in self.rows]

    def to_arrow(self) -> pa.Table:
        """The answer as an Arrow table.

        Its schema's metadata has ``kapok.suppressed``, a JSON list of [row, column name], and
        ``kapok.undecided``, one of rows; each field's metadata has ``kapok.kind``, and where known
        ``kapok.column`` and ``kapok.unit``.
        """
        import pyarrow as pa

        from kapok.computations.query.arrow import arrow_array

        fields, arrays = [], []
        for place, column in enumerate(self.columns):
            array = arrow_array(column.type, column.decimals, [row[place] for row in self.rows])
            facts = {"kapok.kind": column.kind, "kapok.column": column.column, "kapok.unit": column.unit}
            metadata = {name: fact for name, fact in facts.items() if fact}
            fields.append(pa.field(column.name, array.type, metadata=metadata))
            arrays.append(array)
        labels = {"kapok.suppressed": self.suppressed, "kapok.undecided": self.undecided}
        schema = pa.schema(fields, metadata={name: json.dumps(label) for name, label in labels.items()})
        return pa.Table.from_arrays(arrays, schema=schema)


def answer(
    question: Question, dataset: Dataset, words: Sequence[int], quantiles: Sequence[Sequence[Cell]] = ()
) -> Answer:
    """Read the sum of all holders' words.

    Args:
        question: As asked.
        dataset: Its schema.
        words: `question.first_words` signed integers.
        quantiles: For each cell the value of each of the question's quantiles, as further rounds found them.

    Returns:
        The answer. Where the schema shows empty cells, groups in which all measures are zero are left out,
        as SQL leaves out groups without rows; a group of which only never-known columns were asked is left
        out with them.

    Raises:
        PeerProtocolError: ``impossible_sum`` when no holders within the schema can have sent such words.
    """
    if len(words) != question.first_words:
        raise impossible(f"it has {len(words)} words, not {question.first_words}")
    kept: list[tuple[Line, bool]] = []
    for line in _lines(question, dataset, iter(words), iter(quantiles)):
        held = True if question.having is None else question.having.evaluate(line)
        if held is True or held is SUPPRESSED:
            kept.append((line, held is SUPPRESSED))
    kept = _in_order(question.order, kept)
    first, limit = question.statement.offset, question.statement.limit
    kept = kept[first : None if limit is None else first + limit]
    rows: list[tuple[Value, ...]] = []
    suppressed: list[tuple[int, str]] = []
    for number, (line, _) in enumerate(kept):
        cells = [item.formula.evaluate(line) for item in question.items]
        suppressed += [
            (number, item.name)
            for item, cell in zip(question.items, cells, strict=True)
            if cell is SUPPRESSED
        ]
        rows.append(
            tuple(
                delivered(cell, item.formula.type) for item, cell in zip(question.items, cells, strict=True)
            )
        )
    undecided = tuple(number for number, (_, doubtful) in enumerate(kept) if doubtful)
    return Answer(_columns(question), tuple(rows), tuple(suppressed), undecided)


def _columns(question: Question) -> tuple[AnswerColumn, ...]:
    return tuple(
        AnswerColumn(
            item.name,
            item.kind,
            item.formula.type.name,
            (item.formula.type.decimals or 0) if item.formula.type.name == "decimal" else 0,
            item.column,
            item.formula.type.unit,
        )
        for item in question.items
    )


def known_rows(question: Question, dataset: Dataset, words: Sequence[int]) -> list[list[int | None]]:
    """For each cell the rows that each of the question's quantiles is of; None where that is suppressed.

    Raises:
        PeerProtocolError: as `answer`.
    """
    rest, found = iter(words), []
    for _ in range(question.cells):
        opened = [_opened(measure, question, dataset, rest) for measure in question.measures]
        slots = [opened[result.measure] for result in question.quantiles]
        found.append([None if slot is None else slot[0].count for slot in slots])
    return found


def _lines(
    question: Question, dataset: Dataset, rest: Iterator[int], quantiles: Iterator[Sequence[Cell]]
) -> Iterator[Line]:
    """All lines of the answer, each grouping in the order of its words."""
    keys = [[axis.cell(value) for value in axis.values] for axis in question.axes]
    known = _known(question.statement.where)
    never_null = [axis.expression in known for axis in question.axes]
    for kept in question.sets:
        grouped = tuple(place in kept for place in range(len(question.axes)))
        for cell in question.places(kept):
            opened = [_opened(measure, question, dataset, rest) for measure in question.measures]
            found = next(quantiles, ())
            if kept and all(one is not None and not any(sums.count for sums in one) for one in opened):
                continue
            values: list[Cell] = [None] * len(keys)
            for place, number in zip(kept, cell, strict=True):
                values[place] = keys[place][number]
            if any(values[place] is None and never_null[place] for place in kept):
                continue
            yield Line(tuple(values), grouped, tuple(_results(question, opened, iter(found))))


def _known(where: Expression | None) -> frozenset[Expression]:
    """What is null in no row that WHERE keeps: no such group is there, though a holder may suppress it."""
    match where:
        case Call("and", conditions):
            return frozenset().union(*map(_known, conditions))
        case Call("not", (Call("is null", (tested,)),)):
            return frozenset({tested})
        case Call("=" | "<>" | "<" | "<=" | ">" | ">=" | "in" | "between" | "like" | "ilike", compared):
            return frozenset(compared)
        case _:
            return frozenset()


def _opened(measure: Measure, question: Question, dataset: Dataset, rest: Iterator[int]) -> list[Sums] | None:
    """The sums of one cell, of a spread measure for each value; None if somebody suppressed some of it."""
    found: list[Sums] = []
    hidden = False
    for _ in range(measure.slots):
        count = next(rest)
        sums: dict[Moment, int] = {moment: next(rest) for moment in measure.moments}
        flag = next(rest)
        if flag < 0 or flag >= MOST_MEMBERS << question.random_bits:
            raise impossible("a flag is out of range")
        hidden = hidden or flag > 0
        if flag:
            continue
        if not 0 <= count <= MOST_MEMBERS * dataset.rows_max:
            raise impossible("a count is out of range")
        if not measure.possible(count, sums):
            raise impossible(f"the sums of {measure.text} are outside what its bounds allow")
        found.append(measure.opened(count, sums))
    return None if hidden else found


def _results(
    question: Question, opened: Sequence[list[Sums] | None], quantiles: Iterator[Cell]
) -> Iterator[Cell]:
    """The value of each aggregate."""
    for result in question.results:
        slots = opened[result.measure]
        if result.fraction is not None:
            yield next(quantiles)
        elif slots is None:
            yield SUPPRESSED
        elif result.name == "count_distinct":
            yield Fraction(sum(slot.count > 0 for slot in slots))
        else:
            one = slots[0]
            sums = Sums(one.count, one.b, one.a, one.bb, one.aa, one.ab) if result.swapped else one
            yield AGGREGATES[result.name].of(sums)


def impossible(why: str) -> PeerProtocolError:
    """Of a sum that cannot be: nothing is read from it."""
    return PeerProtocolError(
        f"no holders within the dataset's schema can have sent this sum: {why}",
        code="impossible_sum",
        remedy="a node's software or data does not follow the schema; ask the holders to run their checks",
    )


def _in_order(order: Sequence[Ranking], kept: list[tuple[Line, bool]]) -> list[tuple[Line, bool]]:
    """Lines as ORDER BY has them; what ranks equal stays in the order of the words.

    Each line is looked at once for each ranking: one sort after the other, the last ranking first.
    """
    for ranking in reversed(order):
        ranked = [(_rank(ranking, line), (line, doubtful)) for line, doubtful in kept]
        ranked.sort(key=itemgetter(0), reverse=ranking.descending)
        kept = [one for _, one in ranked]
    return kept


def _rank(ranking: Ranking, line: Line) -> tuple[int, Any]:
    """Nulls last unless they are wanted first, suppressed values after all others, whatever the direction."""
    cell = ranking.formula.evaluate(line)
    place = 2 if cell is SUPPRESSED else 0 if cell is not None else -1 if ranking.nulls_first else 1
    return -place if ranking.descending else place, 0 if place else cell
