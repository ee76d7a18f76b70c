import numpy as np
import pytest

from benchmarks.spread import Spread, paired_ratios, spread_of, straight_line


def test_median_and_interpolated_quartiles():
    assert spread_of([4.0, 1.0, 3.0, 2.0]) == Spread(2.5, 1.75, 3.25, 1.0, 4.0, 4)


def test_a_single_value_is_its_own_spread():
    assert spread_of([7.0]) == Spread(7.0, 7.0, 7.0, 7.0, 7.0, 1)


def test_nothing_has_no_spread():
    with pytest.raises(ValueError, match="no values"):
        spread_of([])


def test_ratios_pair_the_runs_of_one_round():
    # The machine was half as fast in the second round: both ratios are the same all the same.
    assert paired_ratios([10.0, 5.0], [2.0, 1.0]) == [5.0, 5.0]


def test_ratios_of_unequal_numbers_of_runs_are_refused():
    with pytest.raises(ValueError, match="zip"):
        paired_ratios([1.0, 2.0], [1.0])


def test_a_line_is_found_again_with_its_fixed_part():
    sizes = np.array([1e3, 1e4, 1e5, 1e6])
    line = straight_line(sizes, 2e-3 + 5e-9 * sizes)
    assert line.fixed == pytest.approx(2e-3)
    assert line.slope == pytest.approx(5e-9)
    assert line.farthest == pytest.approx(0, abs=1e-9)


def test_what_grows_faster_is_far_from_any_line():
    sizes = np.array([1e3, 1e4, 1e5, 1e6])
    assert straight_line(sizes, 1e-12 * sizes**2).farthest > 0.5
    assert straight_line(sizes, 1e-9 * sizes**1.2).farthest > 0.2


def test_a_fixed_part_is_never_negative():
    line = straight_line(np.array([1.0, 2.0]), np.array([1.0, 3.0]))
    assert line.fixed == 0
    assert line.slope > 0
