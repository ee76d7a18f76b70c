"""What a holder computes for each cell of an answer, and how large it can become: the layout of its words.

A *measure* is the rows in which all its arguments are known and its condition holds: how many they are, and
sums over them. A cell of it has the words

    [count, sums that are asked, flag]

where each sum is of distances from a public centre, the middle of the argument's bounds: words stay narrow,
and squares of large numbers that differ little do not cancel. A *spread* measure, that of COUNT(DISTINCT x),
has [count, flag] for each of the values that x can have.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from kapok.computations.language.hints import refuse
from kapok.computations.language.syntax import Expression
from kapok.computations.language.writing import in_order, write
from kapok.computations.query.aggregates import Moment, Sums
from kapok.computations.query.answers.values import Cell, moment_of_seconds
from kapok.computations.rows.calendars import day_number
from kapok.computations.rows.operations import Code
from kapok.computations.rows.terms import Term

__all__ = ["Axis", "Measure", "centre", "half"]

_MOST_SUM = 2**126


@dataclass(frozen=True, slots=True)
class Axis:
    """One thing to group by.

    Attributes:
        expression: As it is asked.
        term: Its meaning.
        values: All it can be, as an engine gives it: steps, texts or booleans; null last where it may be.
    """

    expression: Expression
    term: Term
    values: tuple[int | str | bool | None, ...]

    @property
    def unknown(self) -> tuple[bool, ...]:
        """For each of the values whether it stands for "unknown"."""
        return tuple(value is None for value in self.values)

    def cell(self, value: int | str | bool | None) -> Cell:
        """One of the values as an answer has it."""
        if value is None or isinstance(value, bool | str):
            return value
        number = value * self.term.scale
        match self.term.kind:
            case "date":
                return day_number(int(number))
            case "timestamp":
                return moment_of_seconds(int(number))
            case _:
                return number


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure of a question.

    Attributes:
        arguments: Expressions, none to two.
        condition: Which rows it is of, beside those that the question keeps; None for all.
        terms: The arguments' meanings: numbers wherever sums are asked.
        code: What the condition computes, None without one.
        moments: Which sums travel, in this order.
        spread: Whether the counts of each value of the one argument travel instead.
        columns: Columns that must be known for it to be known, as far as rows can lack them.
    """

    arguments: tuple[Expression, ...]
    condition: Expression | None
    terms: tuple[Term, ...]
    code: Code | None
    moments: tuple[Moment, ...]
    spread: bool = False
    columns: frozenset[str] = frozenset()

    @property
    def values(self) -> tuple[int | str | bool, ...]:
        """The values whose counts travel; empty unless it is spread."""
        if not self.spread:
            return ()
        term = self.terms[0]
        return (False, True) if term.kind == "boolean" else tuple(term.possible or ())

    @property
    def slots(self) -> int:
        """How many flags one cell has."""
        return len(self.values) if self.spread else 1

    @property
    def words(self) -> int:
        """How many words one cell has."""
        return self.slots * (2 + len(self.moments))

    @property
    def can_lack(self) -> bool:
        """Whether some rows may not be of it, so that it tells atoms apart."""
        return self.code is not None or any(term.nullable for term in self.terms)

    @property
    def size(self) -> int:
        """How many operations of one row an engine's SQL writes out for it."""
        once = sum(term.code.size for term in self.terms)
        valued = once if self.spread or self.moments else 0
        return once + valued + (0 if self.code is None else self.code.size)

    @property
    def text(self) -> str:
        """What it is, in one order: equal for equal measures."""
        listed = ", ".join(write(in_order(part)) for part in self.arguments) or "*"
        text = ("DISTINCT " if self.spread else "") + listed
        if self.condition is not None:
            text += f" WHERE {write(in_order(self.condition))}"
        return text

    def bound(self, rows: int, moment: Moment | None = None) -> int:
        """Largest magnitude of the count, or of one of the sums, over so many rows."""
        match moment:
            case None:
                return rows
            case "a" | "aa":
                return half(self.terms[0]) * (half(self.terms[0]) if moment == "aa" else 1) * rows
            case "b" | "bb":
                return half(self.terms[1]) * (half(self.terms[1]) if moment == "bb" else 1) * rows
            case "ab":
                return half(self.terms[0]) * half(self.terms[1]) * rows

    def check(self, rows: int) -> int:
        """The largest magnitude of all its words of one holder.

        Raises:
            InvalidInput: ``number_too_large`` when an engine's 128-bit sums cannot hold it.
        """
        largest = max([rows, *(self.bound(rows, moment) for moment in self.moments)])
        if largest > _MOST_SUM:
            raise refuse(
                "a sum of squares or products could exceed 128 bits for values within the dataset's bounds",
                "round the argument, or divide it into coarser steps with ROUND or FLOOR",
                "number_too_large",
            )
        return largest

    def possible(self, count: int, sums: dict[Moment, int]) -> bool:
        """Whether rows within the bounds can have such sums."""
        if any(abs(total) > self.bound(count, moment) for moment, total in sums.items()):
            return False
        for single, square in (("a", "aa"), ("b", "bb")):
            # The square of a sum is at most so many times the sum of squares (Cauchy and Schwarz).
            if square in sums and sums[square] * count < sums[single] ** 2:  # type: ignore[index]
                return False
        return not {"aa", "bb", "ab"} <= sums.keys() or sums["ab"] ** 2 <= sums["aa"] * sums["bb"]

    def opened(self, count: int, sums: dict[Moment, int]) -> Sums:
        """The sums in values' own units, from those of steps about the centres."""
        found: dict[str, Fraction] = {}
        for name, term in zip("ab", self.terms, strict=False):
            if name in sums:
                total = sums[name] + centre(term) * count
                found[name] = total * term.scale
        if not count:
            return Sums(count)
        for square in ("aa", "bb", "ab"):
            if square in sums:
                one, other = sums[square[0]], sums[square[1]]  # type: ignore[index]
                about_mean = sums[square] - Fraction(one * other, count)
                scales = [self.terms["ab".index(name)].scale for name in square]
                found[square] = about_mean * scales[0] * scales[1]
        return Sums(count, **found)


def centre(term: Term) -> int:
    """The whole number of steps in the middle of a term's bounds."""
    return (term.low + term.high) // 2


def half(term: Term) -> int:
    """The largest distance from the centre."""
    return max(term.high - centre(term), centre(term) - term.low)
