"""The holder's tables: rows apart are what counting pair by pair would give."""

from __future__ import annotations

import random

import numpy as np
import pytest

from kapok.computations.query import tables


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
@pytest.mark.parametrize("at_once", [1, 64, 2**20])
def test_rows_apart_are_what_counting_pair_by_pair_gives(shape, at_once, monkeypatch):
    monkeypatch.setattr(tables, "_AT_ONCE", at_once)
    chance = random.Random(3)
    pairs = [(0, 1), (1, 0), (3, 0), (0, 3)]
    expected = {pair: np.zeros(shape, dtype=np.int64) for pair in pairs}
    apart = tables._Apart(pairs, shape)
    for _ in range(80):
        cell = tuple(chance.randrange(length) for length in shape)
        held = [chance.random() < 0.5 for _ in range(4)]
        count = chance.randrange(2**40)
        apart.add(cell, held, count)
        for one, other in pairs:
            expected[one, other][cell] += count * (held[one] and not held[other])
    found = apart.counted()
    assert found.keys() == expected.keys()
    for pair in pairs:
        assert found[pair].shape == shape
        assert (found[pair] == expected[pair]).all()


def test_measures_of_the_same_rows_are_not_compared():
    apart = tables._Apart([], (100_000,))
    apart.add((5,), [True, True], 3)
    assert apart.counted() == {}


def test_no_atoms_are_no_rows_apart():
    assert tables._Apart([(0, 1)], (2,)).counted()[0, 1].tolist() == [0, 0]
