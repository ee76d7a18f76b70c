"""Steps of the models' analyst: bent ones need no more rounds than Newton's, and mostly fewer."""

import numpy as np

from kapok.computations.design.solving import bent


def logistic(matrix, response, at):
    mean = 1 / (1 + np.exp(-np.clip(matrix @ at, -60, 60)))
    weights = mean * (1 - mean)
    return matrix.T @ (matrix * weights[:, None]), matrix.T @ (response - mean)


def rounds_of(matrix, response, *, is_bent):
    at, last, before = np.zeros(matrix.shape[1]), None, None
    for number in range(1, 40):
        information, score = logistic(matrix, response, at)
        step = np.linalg.solve(information, score)
        if score @ step < 1e-16:
            return number, at
        if is_bent and last is not None:
            step = bent(information, step, last, before)
        last, before, at = step, score, at + step
    raise AssertionError("no end")


def test_bent_steps_take_fewer_rounds_to_the_same_end():
    random = np.random.default_rng(4)
    fewer = 0
    for _ in range(40):
        n = int(random.integers(200, 800))
        # Few far values, as delays have them: where Newton's steps are too short for long.
        matrix = np.column_stack([np.ones(n), random.standard_t(3, n), random.normal(0, 1, n)])
        chance = 1 / (1 + np.exp(-matrix @ [-0.5, 1.5, 0.7]))
        response = (random.uniform(size=n) < chance).astype(float)
        (newton, end), (curved, same) = (rounds_of(matrix, response, is_bent=one) for one in (False, True))
        np.testing.assert_allclose(same, end, rtol=1e-7, atol=1e-9)
        assert curved <= newton
        fewer += curved < newton
    assert fewer >= 30


def test_where_nothing_is_known_to_change_the_step_stays():
    information, step = np.diag([2.0, 3.0]), np.array([1.0, -1.0])
    # A quadratic: what led here has gone as far as it would now.
    np.testing.assert_array_equal(bent(information, step, np.array([0.5, 2.0]), np.array([1.0, 6.0])), step)
    np.testing.assert_array_equal(bent(information, step, np.zeros(2), np.ones(2)), step)
    # It is never bent by more than half of itself.
    wild = bent(information, step, np.array([1.0, -1.0]), np.array([1e6, 1e6]))
    change = wild - step
    assert change @ information @ change <= step @ information @ step / 4 * (1 + 1e-12)
