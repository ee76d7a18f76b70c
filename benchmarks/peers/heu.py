"""sf-heu's ZPaillier (C++): a fixed-base table and an exponent of half the modulus; its own arrays.

It makes its own keys of the same size: their form is private to it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.keys import BenchmarkKey
from benchmarks.peers import load

__all__ = ["Heu"]


class Heu:
    """Implements `PaillierPeer`."""

    name = "sf-heu ZPaillier"
    note = "its own arrays, in memory"
    batch = 64

    def __init__(self, key: BenchmarkKey) -> None:
        """Make a key pair."""
        arrays, scalars = load("heu.numpy", "sf-heu"), load("heu.phe", "sf-heu")
        self._kit = arrays.setup(scalars.SchemaType.ZPaillier, key.bits)
        self._encoder = self._kit.bigint_encoder()

    def encode(self, plaintexts: list[int]) -> Any:
        """Its array of plaintexts: made before the clock runs."""
        return self._kit.array(np.array(plaintexts, dtype=object))

    def encrypt(self, plaintexts: Any) -> Any:
        """Encrypt its own array."""
        return self._kit.encryptor().encrypt(plaintexts)

    def encrypted(self, numbers: list[int], ciphertexts: list[int]) -> Any:  # noqa: ARG002
        """Its own ciphertexts of the numbers."""
        return self.encrypt(self.encode(numbers))

    def add(self, vectors: list[Any]) -> Any:
        """Element by element."""
        evaluator = self._kit.evaluator()
        total, *others = vectors
        for other in others:
            total = evaluator.add(total, other)
        return total

    def decrypt(self, ciphertexts: Any) -> list[int]:
        """To Python integers."""
        return [int(one) for one in self._kit.decryptor().decrypt(ciphertexts).to_numpy(self._encoder)]

    def opened(self, ciphertexts: Any) -> dict[int, int]:
        """Nothing else can."""
        return dict(enumerate(self.decrypt(ciphertexts)))
