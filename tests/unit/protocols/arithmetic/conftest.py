"""Moduli of every size, and numbers to try: at the edges of the ring and anywhere in it."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache

import pytest

from kapok.protocols.arithmetic import Ring


@cache
def _ring_of(bits: int, degree: int) -> Ring:
    """A ring whose modulus has that many bits; without factors below 2^16, as keys have none."""
    source = random.Random(f"{bits} {degree}")
    while True:
        modulus = source.getrandbits(bits) | 1 << (bits - 1) | 1
        if all(modulus % factor for factor in range(3, 1 << 16, 2)):
            return Ring(modulus, degree)


def _numbers_of(ring: Ring, count: int, seed: str = "") -> list[int]:
    """`count` elements: first those at the edges, then random ones."""
    order, modulus = ring.modulus**ring.parts, ring.modulus
    edges = [0, 1, order - 1, modulus - 1, modulus, order - modulus, order // 2, (1 << (8 * ring.width)) - 1]
    source = random.Random(f"{count} {seed}")
    chosen = [edge % order for edge in edges][:count]
    return chosen + [source.randrange(order) for _ in range(count - len(chosen))]


@pytest.fixture
def ring_of() -> Callable[[int, int], Ring]:
    """Rings by bits of the modulus and degree, each made once."""
    return _ring_of


@pytest.fixture
def numbers_of() -> Callable[..., list[int]]:
    """Numbers by ring, count and seed."""
    return _numbers_of
