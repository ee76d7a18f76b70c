"""Sums of doubles as whole words, and running sums of many blocks."""

import numpy as np
import pytest

from kapok.computations.design.sums import Scale, Total


def test_fixed_point_keeps_a_doubles_digits():
    scale = Scale(10**6, 3.0)
    values = [1.0, -1 / 3, 1e-20, 12345.678, 0.0]
    np.testing.assert_allclose([scale.value(word) for word in scale.words(values)], values, rtol=1e-14)
    with pytest.raises(OverflowError):
        scale.words([3e6 * 5])
    with pytest.raises((OverflowError, ValueError)):
        scale.words([float("nan")])


def test_a_running_sum_loses_nothing_over_many_blocks():
    total = Total(1)
    for _ in range(10_000):
        total.add(np.array([0.1]))
        total.add(np.array([1e12]))
        total.add(np.array([-1e12]))
    assert total.value[0] == pytest.approx(1000.0, rel=1e-13)
