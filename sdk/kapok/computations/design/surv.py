"""``Surv(time, event) ~ age + sex``, as R and lifelines' readers write it. At the analyst only."""

from __future__ import annotations

import ast
import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from kapok.computations.design.formula import expression_of
from kapok.computations.design.times import MOST_TIMES, Grid, check_time
from kapok.computations.language.hints import refuse
from kapok.computations.language.literals import number_of
from kapok.computations.language.syntax import Number

if TYPE_CHECKING:
    from kapok.computations.language.syntax import Expression
    from kapok.documents.dataset import Dataset

__all__ = ["Surv", "grid_of", "read_surv"]

_STEPS: Final = 20


@dataclass(frozen=True, slots=True)
class Surv:
    """Both sides of such a formula.

    Attributes:
        time: Until the event, or until observation ended.
        event: Whether it happened.
        right: Right of the tilde, as it stands.
    """

    time: Expression
    event: Expression
    right: str


def read_surv(formula: str, dataset: Dataset) -> Surv:
    """Read a formula whose response is ``Surv(time, event)``.

    Raises:
        InvalidInput: ``bad_formula`` and what is wrong with an expression.
    """
    left, tilde, right = formula.partition("~")
    try:
        call = ast.parse(left.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        call = ast.Constant(None)
    if (
        not tilde
        or not right.strip()
        or not isinstance(call, ast.Call)
        or ast.unparse(call.func) != "Surv"
        or len(call.args) != 2
        or call.keywords
    ):
        raise refuse(
            "the formula has no survival time",
            "write Surv(time, event) ~ and terms, or 1 for no groups",
            "bad_formula",
        )
    time, event = (expression_of(ast.unparse(part), dataset) for part in call.args)
    return Surv(time, event, right.strip())


def grid_of(time: Expression, dataset: Dataset, grid: Sequence[float] | None, every: float | None) -> Grid:
    """The grid that is asked for.

    Args:
        time: What it is of.
        dataset: Its schema.
        grid: The times themselves.
        every: How far apart they are, up to the schema's bound, else; twenty of them when None too.

    Raises:
        InvalidInput: ``bad_grid``; what `check_time` raises.
    """
    if grid is not None:
        return Grid(tuple(_number(one) for one in grid))
    _, high = check_time(time, dataset)
    if every is not None and not 0 < every < math.inf:
        raise refuse("times are a number above 0 apart", "say every=30", "bad_grid")
    step = high / _STEPS if every is None else Fraction(Decimal(str(every)))
    if high > MOST_TIMES * step:
        raise refuse(
            f"times {float(step):g} apart up to the schema's bound of {float(high):g} are "
            f"{math.ceil(high / step)}, and a grid has {MOST_TIMES} at most",
            f"take them {math.ceil(high / MOST_TIMES)} apart or more, or list those that matter in grid=",
            "bad_grid",
        )
    if every is None and high >= _STEPS:
        step = Fraction(-(-high // _STEPS))
    times = [step * place for place in range(1, int(-(-high // step)) + 1)]
    return Grid(tuple(_number(float(one)) for one in times))


def _number(value: float) -> Number:
    try:
        return number_of(f"{Decimal(str(value)):f}")
    except (ArithmeticError, ValueError):
        raise refuse("a time of the grid is no number", "write it as digits", "bad_grid") from None
