"""Operations on one row as an engine's SQL: the only place where they meet a dialect."""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from kapok.computations.encoding import epoch
from kapok.computations.rows.operations import (
    Choice,
    Code,
    Fact,
    Field,
    Nothing,
    Operation,
    Quoted,
    Table,
    Whole,
)

__all__ = ["ROWS", "Writer"]

ROWS: Final = "t"

_INT64: Final = 2**63
_BINARY: Final[dict[str, type[exp.Binary]]] = {
    "+": exp.Add,
    "-": exp.Sub,
    "*": exp.Mul,
    "=": exp.EQ,
    "<>": exp.NEQ,
    "<": exp.LT,
    "<=": exp.LTE,
    ">": exp.GT,
    ">=": exp.GTE,
}
_PARTS: Final = {
    "year": "YEAR",
    "quarter": "QUARTER",
    "month": "MONTH",
    "week": "WEEK",
    "day": "DAY",
    "dayofweek": "DOW",
    "isodow": "ISODOW",
    "dayofyear": "DOY",
}
_STARTS: Final = {"year start": "year", "quarter start": "quarter", "month start": "month"}
_DOUBLES: Final = frozenset({"sqrt", "ln", "log10", "log2", "exp", "power"})


class Writer:
    """Writes operations for one dialect; nothing in them can fail, for that was seen to when they were made.

    Attributes:
        dialect: Name of the SQL dialect as sqlglot knows it.
    """

    def __init__(self, dialect: str) -> None:
        self.dialect = dialect

    def written(self, code: Code) -> exp.Expr:
        """The operations as an expression over the encoded columns."""
        match code:
            case Field(name):
                return exp.column(name, table=ROWS, quoted=True)
            case Whole(value):
                return self.whole(value)
            case Quoted(value):
                return exp.Literal.string(value)
            case Fact(value):
                # Not TRUE and FALSE alone, which some clauses of some engines take for something else.
                return exp.EQ(this=exp.Literal.number(1), expression=exp.Literal.number(int(value)))
            case Nothing():
                return exp.Null()
            case Choice(branches, otherwise):
                case = exp.Case()
                for condition, chosen in branches:
                    case = case.when(self.written(condition), self.written(chosen), copy=False)
                return case if otherwise is None else case.else_(self.written(otherwise), copy=False)
            case Table(part, rows):
                case = exp.Case()
                for result, inputs in rows:
                    among = exp.In(this=self._part(part), expressions=[self.written(one) for one in inputs])
                    case = case.when(among, self.written(result), copy=False)
                return case
            case Operation(name, parts, numbers):
                return self._operation(name, parts, numbers)

    def whole(self, value: int) -> exp.Expr:
        """A whole number: of 64 bits, or wide where it needs more."""
        literal: exp.Expr = exp.Literal.number(abs(value))
        if value < 0:
            literal = exp.Paren(this=exp.Neg(this=literal))
        # By the type itself: its name would be parsed for each number anew.
        return exp.cast(literal, exp.DataType.Type.BIGINT) if -_INT64 < value < _INT64 else self.wide(literal)

    def wide(self, value: exp.Expr) -> exp.Expr:
        """The number on 128 bits or more."""
        return exp.cast(value, "NUMERIC" if self.dialect == "postgres" else "INT128")

    def largest(self, value: exp.Expr, count: int) -> exp.Expr:
        """The largest known values of a group as a list, descending."""
        return self._extreme("MAX", value, count)

    def smallest(self, value: exp.Expr, count: int) -> exp.Expr:
        """The smallest known values of a group as a list, ascending."""
        return self._extreme("MIN", value, count)

    def _extreme(self, name: str, value: exp.Expr, count: int) -> exp.Expr:
        if self.dialect == "duckdb":
            return exp.Anonymous(this=name, expressions=[value, exp.Literal.number(count)])
        ordered = exp.Order(
            this=value,
            expressions=[exp.Ordered(this=value.copy(), desc=name == "MAX", nulls_first=False)],
        )
        return exp.Bracket(
            this=exp.Paren(this=exp.ArrayAgg(this=ordered)),
            expressions=[exp.Slice(this=exp.Literal.number(1), expression=exp.Literal.number(count))],
        )

    def _part(self, code: Code) -> exp.Expr:
        written = self.written(code)
        if isinstance(code, Field | Quoted | Whole | Table | Choice | Nothing):
            return written
        # Not exp.paren, which copies: level by level that takes the square of the depth.
        return exp.Paren(this=written)

    def _operation(self, name: str, parts: tuple[Code, ...], numbers: tuple[int, ...]) -> exp.Expr:
        if name in _BINARY:
            return _BINARY[name](this=self._part(parts[0]), expression=self._part(parts[1]))
        if name in _PARTS:
            return self._part_of_day(_PARTS[name], parts[0])
        if name in _STARTS:
            return self._start_of_day(_STARTS[name], parts[0])
        if name in _DOUBLES:
            return self._double(name, parts[0], numbers)
        match name:
            case "and" | "or":
                kind = exp.And if name == "and" else exp.Or
                chained = self._part(parts[0])
                for part in parts[1:]:
                    chained = kind(this=chained, expression=self._part(part))
                return chained
            case "not":
                return exp.Not(this=self._part(parts[0]))
            case "is null":
                return exp.Is(this=self._part(parts[0]), expression=exp.Null())
            case "is true" | "is false":
                return exp.Is(this=self._part(parts[0]), expression=exp.Boolean(this=name == "is true"))
            case "in":
                return exp.In(this=self._part(parts[0]), expressions=[self.written(one) for one in parts[1:]])
            case "neg":
                return exp.Neg(this=self._part(parts[0]))
            case "wide":
                return self.wide(self.written(parts[0]))
            case "narrow":
                return exp.cast(self.written(parts[0]), "BIGINT")
            case "quotient" | "wide quotient":
                return exp.Paren(this=self._quotient(*parts, wide=name == "wide quotient"))
            case "mod":
                return exp.Mod(this=self._part(parts[0]), expression=self._divisor(parts[1]))
            case _:
                return self._called(name, [self.written(part) for part in parts])

    def _quotient(self, upper: Code, lower: Code, *, wide: bool) -> exp.Expr:
        """A quotient cut towards zero; null where the divisor is zero."""
        top, divisor = exp.Paren(this=self.written(upper)), self._divisor(lower)
        if self.dialect != "postgres":
            return exp.IntDiv(this=top, expression=divisor)
        if wide:
            return exp.Anonymous(this="DIV", expressions=[top, divisor])
        return exp.Div(this=top, expression=divisor, typed=True)

    def _divisor(self, code: Code) -> exp.Expr:
        written = self.written(code)
        if isinstance(code, Whole):
            return written
        return exp.Nullif(this=written, expression=exp.Literal.number(0))

    def _called(self, name: str, parts: list[exp.Expr]) -> exp.Expr:
        match name:
            case "abs":
                return exp.Abs(this=parts[0])
            case "sign":
                return exp.cast(exp.Sign(this=parts[0]), "BIGINT")
            case "greatest":
                return exp.Greatest(this=parts[0], expressions=parts[1:], ignore_nulls=True)
            case "least":
                return exp.Least(this=parts[0], expressions=parts[1:], ignore_nulls=True)
            case "coalesce":
                return exp.Coalesce(this=parts[0], expressions=parts[1:])
            case "||":
                return exp.DPipe(this=parts[0], expression=parts[1])
            case _:
                raise AssertionError(name)

    def _day(self, days: Code) -> exp.Expr:
        added = exp.Add(this=epoch(), expression=exp.cast(self.written(days), "INT"))
        return exp.Paren(this=added)

    def _part_of_day(self, part: str, days: Code) -> exp.Expr:
        return exp.cast(exp.Extract(this=exp.var(part), expression=self._day(days)), "BIGINT")

    def _start_of_day(self, unit: str, days: Code) -> exp.Expr:
        start = exp.Anonymous(this="DATE_TRUNC", expressions=[exp.Literal.string(unit), self._day(days)])
        return exp.cast(exp.Paren(this=exp.Sub(this=exp.cast(start, "DATE"), expression=epoch())), "BIGINT")

    def _double(self, name: str, code: Code, numbers: tuple[int, ...]) -> exp.Expr:
        """A function in doubles, rounded to fixed point: halves up, as every engine adds and cuts alike."""
        top, bottom, decimals, *exponent = numbers
        value: exp.Expr = exp.cast(self.written(code), "DOUBLE")
        if top != 1:
            value = exp.Mul(this=value, expression=_double(top))
        if bottom != 1:
            value = exp.Div(this=value, expression=_double(bottom), typed=True)
        if name == "power":
            ratio = exp.Div(this=_double(exponent[0]), expression=_double(exponent[1]), typed=True)
            found: exp.Expr = exp.Anonymous(this="POWER", expressions=[value, ratio])
        elif name == "log2":
            found = exp.Div(
                this=exp.Anonymous(this="LN", expressions=[value]),
                expression=exp.Anonymous(this="LN", expressions=[_double(2)]),
                typed=True,
            )
        else:
            named = "LOG" if name == "log10" else name.upper()
            found = exp.Anonymous(this=named, expressions=[value])
        scaled = exp.Mul(this=exp.Paren(this=found), expression=_double(10**decimals))
        half = exp.cast(exp.Literal.number("0.5"), "DOUBLE")
        return exp.cast(exp.Floor(this=exp.Add(this=scaled, expression=half)), "BIGINT")


def _double(value: int) -> exp.Expr:
    literal: exp.Expr = exp.Literal.number(abs(value))
    return exp.cast(exp.Paren(this=exp.Neg(this=literal)) if value < 0 else literal, "DOUBLE")
