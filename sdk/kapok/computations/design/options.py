"""What an analyst says beside a formula: which rows count, and numbers."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING

from kapok.computations.language.grammar import Reader
from kapok.computations.language.hints import refuse
from kapok.computations.language.literals import number_of

if TYPE_CHECKING:
    from kapok.computations.language.syntax import Expression, Number

__all__ = ["above_zero", "condition_of"]


def condition_of(text: str | None) -> Expression | None:
    """Read a condition, written as after a question's WHERE: ``age > 60 AND ward IN ('a', 'b')``.

    Raises:
        InvalidInput: ``bad_sql`` and what is wrong with an expression.
    """
    if text is None:
        return None
    if "==" in text:
        meant = text.replace("==", "=")
        raise refuse("a condition compares with =, as questions do", f"write {meant}", "bad_sql")
    reader = Reader(text)
    condition = reader.expression()
    if reader.token.kind != "end":
        raise reader.unexpected("the condition ends before")
    return condition


def above_zero(what: str, value: float | None) -> Number | None:
    """A number above 0 as texts have it; None for none, and for 0.

    Raises:
        InvalidInput: ``bad_model``.
    """
    if value is None or value == 0:
        return None
    if not 0 < value < math.inf:
        raise refuse(f"{what} is a number above 0", "write another, or leave it out", "bad_model")
    return number_of(f"{Decimal(str(value)):f}")
