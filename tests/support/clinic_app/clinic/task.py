"""What a clinic does with its rows, here and in a plain loop over who took part."""

import numpy as np

RATE = 0.1
STEPS = 5


def fit(x, y, w, b):
    """So many steps of gradient descent."""
    for _ in range(STEPS):
        wrong = x * w + b - y
        w, b = w - RATE * (x * wrong).mean(), b - RATE * wrong.mean()
    return w, b


def loss(x, y, w, b):
    """Mean square."""
    return float(np.square(x * w + b - y).mean())
