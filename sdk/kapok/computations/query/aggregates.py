"""The aggregates: what each needs of the holders, and what the analyst makes of it.

Everything here is a function of a few sums over rows: how many there are, and the sums of their values, of
the squares and of the products. Holders send these, centred by public constants; here they are exact
fractions, and so is every result but a root.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal, TypeAlias

from kapok.computations.rows.maths import value_of

__all__ = ["AGGREGATES", "Aggregate", "Moment", "Operation", "Outcome", "Sums"]

Moment: TypeAlias = Literal["a", "b", "aa", "bb", "ab"]
"""Sums that travel: of the first argument, of the second, of their squares, of their products."""

Operation: TypeAlias = Literal[
    "count", "sum", "avg", "variance", "covariance", "distinct", "histogram", "quantile"
]
"""What a policy allows, see `kapok.computations.registry`."""

Outcome: TypeAlias = Fraction | bool | None


@dataclass(frozen=True, slots=True)
class Sums:
    """The sums of one cell over all holders; those that were not asked are 0.

    Attributes:
        count: Rows, or rows in which all arguments are known.
        a: Sum of the first argument.
        b: Sum of the second.
        aa: Sum of the squares of the first argument's distances from its mean.
        bb: The same of the second.
        ab: Sum of the products of these distances.
    """

    count: int
    a: Fraction = Fraction(0)
    b: Fraction = Fraction(0)
    aa: Fraction = Fraction(0)
    bb: Fraction = Fraction(0)
    ab: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One aggregate.

    Attributes:
        arguments: How many it takes.
        moments: Which sums it needs beside the count.
        operation: What it is for a policy.
        finish: Its value; None where SQL gives null.
        says: What it does, for a holder: "averages x".
        least: Fewest rows of which it has a value.
        numeric: Whether its arguments are numbers.
    """

    arguments: int
    moments: tuple[Moment, ...]
    operation: Operation
    finish: Callable[[Sums], Outcome]
    says: str
    least: int = 1
    numeric: bool = True

    def of(self, sums: Sums) -> Outcome:
        """The value, None of too few rows."""
        return None if sums.count < self.least else self.finish(sums)


def _ratio(top: Fraction, bottom: Fraction) -> Fraction | None:
    return top / bottom if bottom else None


def _correlation(sums: Sums) -> Fraction | None:
    if not sums.aa or not sums.bb:
        return None
    size = value_of("sqrt", sums.ab**2 / (sums.aa * sums.bb))
    return None if size is None else (-size if sums.ab < 0 else size)


def _intercept(sums: Sums) -> Fraction | None:
    slope = _ratio(sums.ab, sums.bb)
    return None if slope is None else (sums.a - slope * sums.b) / sums.count


def _explained(sums: Sums) -> Fraction | None:
    if not sums.bb:
        return None
    return Fraction(1) if not sums.aa else sums.ab**2 / (sums.aa * sums.bb)


def _variance(says: str, least: int, *, root: bool) -> Aggregate:
    def finish(sums: Sums) -> Fraction | None:
        variance = sums.aa / (sums.count - least + 1)
        return value_of("sqrt", variance) if root else variance

    return Aggregate(1, ("a", "aa"), "variance", finish, says, least)


def _pair(
    says: str, moments: tuple[Moment, ...], finish: Callable[[Sums], Outcome], least: int = 1
) -> Aggregate:
    return Aggregate(2, moments, "covariance", finish, says, least)


_ALL: Final[tuple[Moment, ...]] = ("a", "b", "aa", "bb", "ab")

# The regressions take y first: a is y, and b is x.
AGGREGATES: Final[dict[str, Aggregate]] = {
    "count": Aggregate(
        1, (), "count", lambda sums: Fraction(sums.count), "counts the rows in which {0} is known", 0, False
    ),
    "count_if": Aggregate(
        1, (), "count", lambda sums: Fraction(sums.count), "counts the rows where {0}", 0, False
    ),
    "sum": Aggregate(1, ("a",), "sum", lambda sums: sums.a, "sums {0}"),
    "avg": Aggregate(1, ("a",), "avg", lambda sums: sums.a / sums.count, "averages {0}"),
    "bool_and": Aggregate(
        1, ("a",), "sum", lambda sums: sums.a == sums.count, "tells whether always {0}", numeric=False
    ),
    "bool_or": Aggregate(1, ("a",), "sum", lambda sums: sums.a > 0, "tells whether ever {0}", numeric=False),
    "var_samp": _variance("takes the variance of {0} (sample)", 2, root=False),
    "var_pop": _variance("takes the variance of {0}", 1, root=False),
    "stddev_samp": _variance("takes the standard deviation of {0} (sample)", 2, root=True),
    "stddev_pop": _variance("takes the standard deviation of {0}", 1, root=True),
    "covar_samp": _pair(
        "takes the covariance of {0} and {1} (sample)",
        ("a", "b", "ab"),
        lambda sums: sums.ab / (sums.count - 1),
        2,
    ),
    "covar_pop": _pair(
        "takes the covariance of {0} and {1}", ("a", "b", "ab"), lambda sums: sums.ab / sums.count
    ),
    "corr": _pair("correlates {0} and {1}", _ALL, _correlation),
    "regr_slope": _pair(
        "takes the slope of {0} over {1}",
        ("a", "b", "bb", "ab"),
        lambda sums: _ratio(sums.ab, sums.bb),
    ),
    "regr_intercept": _pair("takes the intercept of {0} over {1}", ("a", "b", "bb", "ab"), _intercept),
    "regr_r2": _pair("tells how much of {0} a line over {1} explains", _ALL, _explained),
    "regr_count": _pair(
        "counts the rows in which {0} and {1} are known", (), lambda sums: Fraction(sums.count), 0
    ),
    "regr_avgy": _pair("averages {0} where {1} is known", ("a",), lambda sums: sums.a / sums.count),
    "regr_avgx": _pair("averages {1} where {0} is known", ("b",), lambda sums: sums.b / sums.count),
    "regr_syy": _pair("takes the squares of {0} about its mean", ("a", "aa"), lambda sums: sums.aa),
    "regr_sxx": _pair("takes the squares of {1} about its mean", ("b", "bb"), lambda sums: sums.bb),
    "regr_sxy": _pair(
        "takes the products of {0} and {1} about their means", ("a", "b", "ab"), lambda sums: sums.ab
    ),
}
"""Aggregates by name, COUNT(*), COUNT(DISTINCT x) and HISTOGRAM excepted."""
