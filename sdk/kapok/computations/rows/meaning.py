"""From an expression of one row to a typed term: what each operator and function means."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Final, Literal, cast

from kapok.computations.language.hints import refuse
from kapok.computations.language.syntax import (
    COMPARISONS,
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
from kapok.computations.rows import arithmetic, calendars, conditions, texts
from kapok.computations.rows.arithmetic import number
from kapok.computations.rows.maths import MATHS, maths, power
from kapok.computations.rows.operations import Fact, Quoted
from kapok.computations.rows.terms import Term, boolean, constant, mismatch, of_column, text, unknown
from kapok.documents.dataset import Dataset

__all__ = ["Meaning"]

# How many arguments each function takes, least and most, where it is not told by `texts`.
_COUNTS: Final = {
    **dict.fromkeys(("abs", "sign", "floor", "ceil", *MATHS, *calendars.DATE_FUNCTIONS), (1, 1)),
    **dict.fromkeys(("round", "trunc"), (1, 2)),
    **dict.fromkeys(("mod", "power", "nullif", "date_trunc"), (2, 2)),
    "date_diff": (3, 3),
    **dict.fromkeys(("coalesce", "greatest", "least", "concat"), (1, 100)),
    **dict.fromkeys(texts.TEXT_FUNCTIONS, (1, 3)),
}
_AT_ONCE: Final = frozenset({"=", "<>", "in", "nullif", "and", "or", "not", "is null", "is true", "is false"})
"""What is found without a look at each of the values that its arguments can have."""

_MOST_LOOKED_AT: Final = 200_000


class Meaning:
    """Types the expressions of one question; each part is typed once, however often it stands somewhere."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        # By identity: to compare expressions would walk through them. Each is kept with its term, so that
        # nothing else gets its identity.
        self._found: dict[int, tuple[Expression, Term]] = {}
        self._columns: dict[str, Term] = {}
        self._looked_at = 0

    def term(self, expression: Expression) -> Term:
        """The term of an expression.

        Raises:
            InvalidInput: see `kapok.computations.query.reading`.
        """
        found = self._found.get(id(expression))
        if found is None:
            found = self._found[id(expression)] = (expression, self._typed(expression))
        return found[1]

    def condition(self, what: str, expression: Expression) -> Term:
        """The term of an expression that is true or false."""
        return conditions.condition(what, self.term(expression))

    def _typed(self, expression: Expression) -> Term:
        match expression:
            case Name(name):
                if name not in self._columns:
                    self._columns[name] = of_column(self._dataset.column(name))
                return self._columns[name]
            case Number(units, decimals):
                return constant(Fraction(units, 10**decimals))
            case Text(value):
                return text(value)
            case Truth(value):
                return boolean(Fact(value), nullable=False)
            case Null():
                return unknown()
            case Day(days):
                return constant(days, "date")
            case Moment(seconds):
                return constant(seconds, "timestamp")
            case Span():
                raise refuse(
                    "an interval stands alone", "add it to a date: d + INTERVAL 3 DAY", "type_mismatch"
                )
            case Case():
                return self._looked_through(self._case(expression))
            case Aggregate(name):
                raise refuse(
                    f"{name.upper()} stands where single rows are looked at",
                    "write it after SELECT, in HAVING or ORDER BY, and not inside another aggregate",
                )
            case Call(name, arguments):
                return self._looked_through(self._call(name, arguments))

    def _looked_through(self, *terms: Term) -> Term:
        """The last of the terms; all their listed values are counted, for nodes read what others wrote.

        Raises:
            InvalidInput: ``question_too_long``.
        """
        self._looked_at += sum(len(term.values) for term in terms if term.values is not None)
        if self._looked_at > _MOST_LOOKED_AT:
            raise refuse(
                "functions would be found for too many values of columns with long domains",
                f"use fewer functions of such columns: {_MOST_LOOKED_AT:,} values in one question",
                "question_too_long",
            )
        return terms[-1]

    def _case(self, case: Case) -> Term:
        branches = []
        for test, value in case.branches:
            tested = self.term(test)
            if case.operand is not None:
                tested = conditions.compare("=", self.term(case.operand), tested)
            branches.append((tested, self.term(value)))
        otherwise = None if case.otherwise is None else self.term(case.otherwise)
        return conditions.choose(branches, otherwise)

    def _call(self, name: str, arguments: tuple[Expression, ...]) -> Term:
        least, most = _COUNTS.get(name, (len(arguments), len(arguments)))
        if not least <= len(arguments) <= most:
            many = str(least) if least == most else f"{least} to {most}"
            raise refuse(f"{name.upper()} takes {many} arguments", "write them in parentheses", "bad_sql")
        if name in ("+", "-") and any(self._is_dated(argument) for argument in arguments):
            return self._moved(name, *arguments)
        terms = tuple(map(self.term, arguments))
        if name not in _AT_ONCE:
            self._looked_through(*terms)
        if name in COMPARISONS:
            return conditions.compare(name, *terms)
        if name in ("and", "or", "not"):
            return conditions.joined(name, *terms)
        if name in ("is null", "is true", "is false"):
            return conditions.tested(name, *terms)
        if name in MATHS:
            return maths(name, *terms)
        if name in calendars.DATE_FUNCTIONS:
            return calendars.part(name, *terms)
        if name in texts.TEXT_FUNCTIONS:
            return texts.of_text(name, *terms)
        return _FUNCTIONS[name](*terms)

    def _is_dated(self, expression: Expression) -> bool:
        return isinstance(expression, Span) or self.term(expression).kind in ("date", "timestamp")

    def _moved(self, sign: str, left: Expression, right: Expression) -> Term:
        if isinstance(left, Span):
            if sign == "-" or isinstance(right, Span):
                raise refuse("an interval is added to a date", "write d + INTERVAL 3 DAY", "type_mismatch")
            left, right = right, left
        if not isinstance(right, Span):
            one, other = self.term(left), self.term(right)
            if one.kind in ("date", "timestamp") and other.kind in ("date", "timestamp") and sign == "-":
                return calendars.difference(one, other)
            if other.kind in ("date", "timestamp") and sign == "+":
                one, other = other, one
            return calendars.moved(sign, one, other)
        return calendars.moved(sign, self.term(left), right)


def _numeric(function: Callable[..., Term], sign: str) -> Callable[..., Term]:
    return lambda *terms: function(*(number(sign, term) for term in terms))


def _to_places(mode: Literal["round", "floor", "ceil", "trunc"]) -> Callable[..., Term]:
    def function(term: Term, places: Term | None = None) -> Term:
        count = 0 if places is None else arithmetic.whole_number(mode.upper(), places)
        return arithmetic.to_places(number(mode.upper(), term), count, mode)

    return function


def _extreme(name: str) -> Callable[..., Term]:
    def function(*terms: Term) -> Term:
        same = conditions.same_moments(*terms)
        kinds = {term.kind for term in same}
        if len(kinds) != 1 or kinds & {"text", "boolean", "null"}:
            raise mismatch(name.upper(), next(iter(terms)), "numbers or dates, all of one kind,")
        return arithmetic.extreme(cast('Literal["greatest", "least"]', name), *same)

    return function


def _between(term: Term, low: Term, high: Term) -> Term:
    return conditions.joined("and", conditions.compare(">=", term, low), conditions.compare("<=", term, high))


def _unit(term: Term) -> str:
    if not isinstance(term.code, Quoted):
        raise refuse("the unit is a text in quotes", "write 'month', 'day', …", "type_mismatch")
    return term.code.value.lower().removesuffix("s")


_FUNCTIONS: Final[dict[str, Callable[..., Term]]] = {
    "+": _numeric(arithmetic.add, "+"),
    "-": _numeric(arithmetic.subtract, "-"),
    "*": _numeric(arithmetic.multiply, "*"),
    "/": _numeric(arithmetic.divide, "/"),
    "%": _numeric(arithmetic.remainder, "%"),
    "mod": _numeric(arithmetic.remainder, "MOD"),
    "neg": _numeric(arithmetic.negate, "-"),
    "abs": _numeric(arithmetic.absolute, "ABS"),
    "sign": _numeric(arithmetic.sign, "SIGN"),
    "round": _to_places("round"),
    "trunc": _to_places("trunc"),
    "floor": _to_places("floor"),
    "ceil": _to_places("ceil"),
    "power": power,
    "greatest": _extreme("greatest"),
    "least": _extreme("least"),
    "between": _between,
    "in": conditions.member,
    "coalesce": conditions.first_known,
    "nullif": conditions.null_if,
    "||": texts.join,
    "concat": texts.concat,
    "date_trunc": lambda unit, term: calendars.truncated(_unit(unit), term),
    "date_diff": lambda unit, start, end: calendars.units_between(_unit(unit), start, end),
}
