"""The (n, k) rule and the p % rule, at and beside their limits."""

from __future__ import annotations

import pytest

from kapok.computations import Thresholds
from kapok.computations.engines import Dominance
from kapok.computations.query.disclosure.dominance import Magnitudes, dominated, largest_needed


def of(*values: int) -> Magnitudes:
    return Magnitudes(sum(map(abs, values)), tuple(sorted(map(abs, values), reverse=True))[:3])


@pytest.mark.parametrize(
    ("values", "n", "percent", "breaks"),
    [
        ((80, 10, 10), 1, 80, False),
        ((81, 10, 9), 1, 80, True),
        ((-81, 10, 9), 1, 80, True),
        ((50, -50), 1, 80, False),
        ((40, 40, 10, 10), 2, 80, False),
        ((41, 40, 10, 9), 2, 80, True),
        ((5,), 1, 100, False),
        ((5,), 1, 99, True),
        ((0, 0, 0), 1, 1, False),
        ((10**30, 1), 1, 99, True),
    ],
)
def test_dominance(values, n, percent, breaks):
    rule = Thresholds(0, 0, dominance=Dominance(n=n, percent=percent))
    assert (dominated(of(*values), rule) is not None) is breaks


@pytest.mark.parametrize(
    ("values", "p", "breaks"),
    [
        ((100, 50, 20), 20, False),
        ((100, 50, 19), 20, True),
        ((-100, 50, 19), 20, True),
        ((100, 50, 10, 9), 20, True),
        ((100,), 1, True),
        ((0, 0), 100, False),
    ],
)
def test_p_percent(values, p, breaks):
    assert (dominated(of(*values), Thresholds(0, 0, p_percent=p)) is not None) is breaks


def test_how_many_of_the_largest_are_needed():
    assert largest_needed(Thresholds(0, 0)) == 0
    assert largest_needed(Thresholds(0, 0, dominance=Dominance(n=1, percent=80))) == 1
    assert largest_needed(Thresholds(0, 0, dominance=Dominance(n=1, percent=80), p_percent=10)) == 2
    assert largest_needed(Thresholds(0, 0, dominance=Dominance(n=5, percent=80), p_percent=10)) == 5


def test_without_rules_nothing_is_dominated():
    assert dominated(of(1000), Thresholds(0, 0)) is None
