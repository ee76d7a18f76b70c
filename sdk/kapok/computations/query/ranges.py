"""How large an expression of a filter can become, from the schema's public bounds alone.

Filters are computed in whole steps on the engine's 64-bit integers. An expression that could overflow them
for some row within the bounds is refused when the question is parsed, and so is one that needs a factor
that does not fit. Otherwise overflow, which suppresses
a holder's whole contribution, would answer questions about single rows: ``WHERE (age - 40) *
9000000000000000000 > 0`` would fail exactly for those who hold an age other than 40.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kapok.computations.query.conditions import Arithmetic, Field, Number, Operand
from kapok.documents.dataset import Dataset
from kapok.errors import InvalidInput

__all__ = ["Ranges", "Steps", "aligned"]

_LARGEST: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Steps:
    """An interval of whole steps of ``10^-decimals``."""

    low: int
    high: int
    decimals: int

    def finer(self, decimals: int) -> Steps:
        """The same interval in steps of ``10^-decimals``, which are not coarser.

        Raises:
            InvalidInput: ``number_too_large`` when the interval, or the factor itself, does not fit: an
                interval [0, 0] has no large values in any steps, but the engine multiplies by the factor.
        """
        factor = 10 ** (decimals - self.decimals)
        _bounded(factor, factor, 0)
        return _bounded(self.low * factor, self.high * factor, decimals)


def _bounded(low: int, high: int, decimals: int) -> Steps:
    if max(abs(low), abs(high)) > _LARGEST:
        raise InvalidInput(
            "an expression in WHERE could exceed 64-bit numbers for values within the dataset's bounds",
            code="number_too_large",
            remedy="use smaller factors, fewer products or fewer decimals",
        )
    return Steps(low, high, decimals)


def aligned(*intervals: Steps) -> tuple[Steps, ...]:
    """All in the finest one's steps, as the engine compares them.

    Raises:
        InvalidInput: ``number_too_large``.
    """
    decimals = max(interval.decimals for interval in intervals)
    return tuple(interval.finer(decimals) for interval in intervals)


class Ranges:
    """The intervals of one question's operands; each is found once, however deep it stands in others."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        # By identity: to compare operands would walk through them. The operand is kept with its interval, so
        # that nothing else gets its identity.
        self._found: dict[int, tuple[Operand, Steps]] = {}

    def of(self, operand: Operand) -> Steps:
        """The interval in which a numeric operand's value lies.

        Raises:
            InvalidInput: ``number_too_large`` when it or a part of it need not fit into 64 bits.
        """
        found = self._found.get(id(operand))
        if found is None:
            found = self._found[id(operand)] = (operand, self._steps(operand))
        return found[1]

    def _steps(self, operand: Operand) -> Steps:
        match operand:
            case Number(units, decimals):
                return _bounded(units, units, decimals)
            case Field(name):
                column = self._dataset.column(name)
                return _bounded(*column.step_bounds, column.decimals)
            case Arithmetic("*", left, right):
                one, other = self.of(left), self.of(right)
                corners = [a * b for a in (one.low, one.high) for b in (other.low, other.high)]
                return _bounded(min(corners), max(corners), one.decimals + other.decimals)
            case Arithmetic(operator, left, right):
                one, other = aligned(self.of(left), self.of(right))
                if operator == "+":
                    return _bounded(one.low + other.low, one.high + other.high, one.decimals)
                return _bounded(one.low - other.high, one.high - other.low, one.decimals)
            case _:
                raise AssertionError("only numbers have steps")
