"""What the analyst computes after aggregation: an expression over groups and aggregates becomes a function.

Nothing of it reaches a holder. `Formulas` reads an expression once, when the question is parsed, finds its
type and which aggregates it needs, and gives a function of one line of the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Protocol, TypeAlias

from kapok.computations.language.hints import refuse
from kapok.computations.language.literals import SECONDS_OF
from kapok.computations.language.syntax import (
    Aggregate,
    Call,
    Case,
    Day,
    Expression,
    Moment,
    Name,
    Null,
    Number,
    Span,
    Text,
    Truth,
)
from kapok.computations.query.answers.calls import CALLS, case_of, typed_call
from kapok.computations.query.answers.values import Cell, ValueType, moment_of_seconds
from kapok.computations.rows.calendars import day_number

__all__ = ["Formula", "Formulas", "Line", "Source"]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an answer before it is written.

    Attributes:
        keys: The value of each axis, None where it is null or not grouped by in this line.
        grouped: Which axes this line is grouped by.
        results: The value of each aggregate of the question.
    """

    keys: tuple[Cell, ...]
    grouped: tuple[bool, ...]
    results: tuple[Cell, ...]


Evaluate: TypeAlias = Callable[[Line], Cell]


@dataclass(frozen=True, slots=True)
class Formula:
    """An expression over one line of the answer."""

    evaluate: Evaluate
    type: ValueType


class Source(Protocol):
    """Knows the axes and the aggregates of the question that is read."""

    def key(self, expression: Expression) -> tuple[int, ValueType] | None:
        """The axis that an expression is, and its values' type; None if it is none."""
        ...

    def aggregate(self, aggregate: Aggregate) -> tuple[int, ValueType]:
        """The number of an aggregate, and its value's type."""
        ...


class Formulas:
    """Reads the expressions of SELECT, HAVING and ORDER BY.

    Args:
        source: What they may refer to.
    """

    def __init__(self, source: Source) -> None:
        self._source = source

    def read(self, expression: Expression, aliases: Mapping[str, Expression]) -> Formula:
        """The formula of an expression.

        Args:
            expression: What was written.
            aliases: What other names stand for.

        Raises:
            InvalidInput: see `kapok.computations.query.reading`.
        """
        key = self._source.key(expression)
        if key is not None:
            place, kind = key
            return Formula(lambda line: line.keys[place], kind)
        match expression:
            case Name(name) if name in aliases:
                return self.read(aliases[name], {})
            case Name(name):
                raise refuse(
                    f"column {name} is selected but not grouped by",
                    f"add GROUP BY {name}, or ask COUNT, SUM or AVG of it: no single rows leave a holder",
                    "not_grouped",
                )
            case Aggregate("grouping", arguments):
                return self._grouping(arguments)
            case Aggregate():
                number, kind = self._source.aggregate(expression)
                return Formula(lambda line: line.results[number], kind)
            case Case():
                return self._case(expression, aliases)
            case Call(name, arguments):
                return self._call(name, arguments, aliases)
            case _:
                return _constant(expression)

    def _grouping(self, arguments: Sequence[Expression]) -> Formula:
        places = []
        for argument in arguments:
            key = self._source.key(argument)
            if key is None:
                raise refuse("GROUPING takes what is grouped by", "write it as in GROUP BY", "not_grouped")
            places.append(key[0])

        def evaluate(line: Line) -> Cell:
            bits = 0
            for place in places:
                bits = 2 * bits + (not line.grouped[place])
            return Fraction(bits)

        return Formula(evaluate, ValueType("number", 0, Fraction(2 ** len(places))))

    def _case(self, case: Case, aliases: Mapping[str, Expression]) -> Formula:
        tests = []
        for condition, _ in case.branches:
            test = condition if case.operand is None else Call("=", (case.operand, condition))
            tests.append(self.read(test, aliases))
        values = [self.read(value, aliases) for _, value in case.branches]
        if case.otherwise is not None:
            values.append(self.read(case.otherwise, aliases))
        evaluate, kind = case_of([test.type for test in tests], [value.type for value in values])
        parts = [test.evaluate for test in tests], [value.evaluate for value in values]
        return Formula(lambda line: evaluate(line, *parts), kind)

    def _call(self, name: str, arguments: Sequence[Expression], aliases: Mapping[str, Expression]) -> Formula:
        if name not in CALLS:
            raise refuse(f"{name.upper()} cannot stand there", "use it on rows, inside an aggregate")
        parts = [self.read(argument, aliases) for argument in arguments]
        function, kind = typed_call(name, arguments, [part.type for part in parts])
        evaluates = [part.evaluate for part in parts]
        return Formula(lambda line: function(*(evaluate(line) for evaluate in evaluates)), kind)


_SPAN: Final = ValueType("number")


def _constant(expression: Expression) -> Formula:
    match expression:
        case Number(units, decimals):
            number = Fraction(units, 10**decimals)
            return Formula(lambda _: number, ValueType("number", decimals, abs(number)))
        case Text(text):
            return Formula(lambda _: text, ValueType("text"))
        case Truth(truth):
            return Formula(lambda _: truth, ValueType("boolean"))
        case Null():
            return Formula(lambda _: None, ValueType("null"))
        case Day(days):
            day = day_number(days)
            return Formula(lambda _: day, ValueType("date"))
        case Moment(seconds):
            moment = moment_of_seconds(seconds)
            return Formula(lambda _: moment, ValueType("timestamp"))
        case Span(amount, unit):
            value = Fraction(amount * SECONDS_OF[unit])
            return Formula(lambda _: value, _SPAN)
        case _:
            raise AssertionError(expression)
