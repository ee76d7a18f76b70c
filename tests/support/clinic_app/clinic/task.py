"""What a clinic does with its rows, here and in a plain loop over who took part."""

import numpy as np

RATE = 0.1
STEPS = 10
BATCH = 8


def fit(x, y, model, generator, mu=0.0):
    """So many steps of stochastic gradient descent from a model, kept near to it by `mu` (FedProx)."""
    w, b = model
    for _ in range(STEPS):
        rows = generator.integers(0, len(x), BATCH)
        wrong = x[rows] * w + b - y[rows]
        w = w - RATE * ((x[rows] * wrong).mean() + mu * (w - model[0]))
        b = b - RATE * (wrong.mean() + mu * (b - model[1]))
    return np.array([w, b])


def generator_of(seed, number, partition):
    """A clinic's own random numbers for its exchange of that number."""
    return np.random.default_rng([seed, number, partition])


def loss(x, y, model):
    """Mean square."""
    return float(np.square(x * model[0] + model[1] - y).mean())
