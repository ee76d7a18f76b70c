"""What a holder's engine computes for one row, in Kapok's own operations on 64-bit integers.

It is the only form in which an analyst's question reaches an engine: made by `meaning` from an expression,
turned into the engine's SQL by `build`. Every operation gives the same result on every engine, and none can
fail: what could overflow was refused before, and a divisor of zero gives null.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeAlias

from kapok.computations.query.language.hints import refuse

__all__ = ["MOST_CODE", "Choice", "Code", "Fact", "Field", "Nothing", "Operation", "Quoted", "Table", "Whole"]

MOST_CODE: Final = 20_000
"""Most operations of one term, counted as an engine's SQL writes them out."""


@dataclass(frozen=True, slots=True)
class Field:
    """A column: steps of a number, days, seconds, a text or a boolean."""

    name: str
    size: int = field(default=1, init=False, compare=False)


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number."""

    value: int
    size: int = field(default=1, init=False, compare=False)


@dataclass(frozen=True, slots=True)
class Quoted:
    """A text."""

    value: str
    size: int = field(default=1, init=False, compare=False)


@dataclass(frozen=True, slots=True)
class Fact:
    """True or false."""

    value: bool
    size: int = field(default=1, init=False, compare=False)


@dataclass(frozen=True, slots=True)
class Nothing:
    """Null."""

    size: int = field(default=1, init=False, compare=False)


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation by name.

    On integers ``+ - * neg abs sign mod quotient greatest least``, where a quotient is cut towards zero;
    ``wide`` makes an integer of 128 bits of one, ``narrow`` takes it back, ``wide quotient`` divides two.
    Comparisons ``= <> < <= > >= in``, logic ``and or not``, ``is null``, ``is true``, ``is false``,
    ``coalesce``, ``nullif``, texts joined by ``||``. Of days since 1970 ``year quarter month week day
    dayofweek isodow dayofyear``, and days again from ``year start``, ``quarter start``, ``month start``. In
    doubles ``sqrt ln log10 log2 exp power``, of the first part times numbers[0] / numbers[1], rounded to
    numbers[2] decimals; ``power`` has its exponent's numerator and denominator after these.
    """

    name: str
    parts: tuple[Code, ...]
    numbers: tuple[int, ...] = ()
    size: int = field(default=1, init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", _sized(1 + sum(part.size for part in self.parts)))


@dataclass(frozen=True, slots=True)
class Choice:
    """The value of the first branch whose condition is true; null where none is and nothing is left."""

    branches: tuple[tuple[Code, Code], ...]
    otherwise: Code | None
    size: int = field(default=1, init=False, compare=False)

    def __post_init__(self) -> None:
        inner = sum(condition.size + value.size for condition, value in self.branches)
        object.__setattr__(self, "size", _sized(1 + inner + (self.otherwise.size if self.otherwise else 0)))


@dataclass(frozen=True, slots=True)
class Table:
    """A finite function: for each result the inputs that have it; null of everything else."""

    part: Code
    rows: tuple[tuple[Whole | Quoted | Fact, tuple[Whole | Quoted, ...]], ...]
    size: int = field(default=1, init=False, compare=False)

    def __post_init__(self) -> None:
        inputs = sum(self.part.size + 1 + len(row) for _, row in self.rows)
        object.__setattr__(self, "size", _sized(1 + inputs))


Code: TypeAlias = Field | Whole | Quoted | Fact | Nothing | Operation | Choice | Table


def _sized(size: int) -> int:
    if size > MOST_CODE:
        raise refuse("an expression is too long when written out", "simplify it", "question_too_long")
    return size
