"""What a holder's engine computes for one row, in Kapok's own operations on 64-bit integers.

It is the only form in which an analyst's question reaches an engine: made by `meaning` from an expression,
turned into the engine's SQL by `build`. Every operation gives the same result on every engine, and none can
fail: what could overflow was refused before, and a divisor of zero gives null.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from kapok.computations.language.hints import refuse
from kapok.errors import InvalidInput

__all__ = [
    "MOST_CODE",
    "Choice",
    "Code",
    "Fact",
    "Field",
    "Nothing",
    "Operation",
    "Quoted",
    "Table",
    "Whole",
    "too_long",
]

MOST_CODE: Final = 20_000
"""Most operations of one term, and of all that one written question has computed for a row, counted as an
engine's SQL writes them out."""

_MOST_LEVELS: Final = 200


@dataclass(frozen=True, slots=True)
class Field:
    """A column: steps of a number, days, seconds, a text or a boolean."""

    name: str
    size: int = field(default=1, init=False, compare=False)
    depth: int = field(default=1, init=False, compare=False)


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number."""

    value: int
    size: int = field(default=1, init=False, compare=False)
    depth: int = field(default=1, init=False, compare=False)


@dataclass(frozen=True, slots=True)
class Quoted:
    """A text."""

    value: str
    size: int = field(default=1, init=False, compare=False)
    depth: int = field(default=1, init=False, compare=False)


@dataclass(frozen=True, slots=True)
class Fact:
    """True or false."""

    value: bool
    size: int = field(default=1, init=False, compare=False)
    depth: int = field(default=1, init=False, compare=False)


@dataclass(frozen=True, slots=True)
class Nothing:
    """Null."""

    size: int = field(default=1, init=False, compare=False)
    depth: int = field(default=1, init=False, compare=False)


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
    depth: int = field(default=1, init=False, compare=False)

    def __post_init__(self) -> None:
        _measure(self, 1, self.parts)


@dataclass(frozen=True, slots=True)
class Choice:
    """The value of the first branch whose condition is true; null where none is and nothing is left."""

    branches: tuple[tuple[Code, Code], ...]
    otherwise: Code | None
    size: int = field(default=1, init=False, compare=False)
    depth: int = field(default=1, init=False, compare=False)

    def __post_init__(self) -> None:
        last = () if self.otherwise is None else (self.otherwise,)
        _measure(self, 1, (*(part for branch in self.branches for part in branch), *last))


@dataclass(frozen=True, slots=True)
class Table:
    """A finite function: for each result the inputs that have it; null of everything else."""

    part: Code
    rows: tuple[tuple[Whole | Quoted | Fact, tuple[Whole | Quoted, ...]], ...]
    size: int = field(default=1, init=False, compare=False)
    depth: int = field(default=1, init=False, compare=False)

    def __post_init__(self) -> None:
        # The part is written out once for each row.
        again = self.part.size * (len(self.rows) - 1)
        _measure(self, 1 + again + sum(1 + len(inputs) for _, inputs in self.rows), (self.part,))


Code: TypeAlias = Field | Whole | Quoted | Fact | Nothing | Operation | Choice | Table


def _measure(code: Operation | Choice | Table, own: int, parts: Iterable[Code]) -> None:
    """Note how much is written out for a code, and how deep it nests: SQL is written and read by recursion.

    Raises:
        InvalidInput: ``question_too_long``.
    """
    size, depth = own, 0
    for part in parts:
        size, depth = size + part.size, max(depth, part.depth)
    if size > MOST_CODE or depth >= _MOST_LEVELS:
        raise too_long()
    object.__setattr__(code, "size", size)
    object.__setattr__(code, "depth", depth + 1)


def too_long() -> InvalidInput:
    """The error of expressions that are too much for an engine when written out."""
    return refuse("an expression is too long when written out", "simplify it", "question_too_long")
