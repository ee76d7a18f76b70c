"""What a client of Flower's SecAgg+ does to hide a vector: one mask of its own and one for each neighbour.

The calls are those of `flwr.client.mod.secure_aggregation.secaggplus_mod` in its masking stage, without key
agreement, secret shares and quantisation. Its generator is NumPy's Mersenne Twister under a seed of 32 bits,
to which it folds the key; Kapok's is AES-256-CTR under a key of 256.
"""

from __future__ import annotations

import base64
import os
from typing import Final

import numpy as np
import numpy.typing as npt

from benchmarks.peers import load

__all__ = ["SecAggPlusClient"]

MODULUS: Final = 1 << 32


class SecAggPlusClient:
    """One client with a number of neighbours, half of them before and half after it in order."""

    def __init__(self, neighbours: int) -> None:
        """Make the seeds, as long as the library's shared keys are."""
        masks = load("flwr.common.secure_aggregation.secaggplus_utils", "flwr")
        arrays = load("flwr.common.secure_aggregation.ndarrays_arithmetic", "flwr")
        self._generate = masks.pseudo_rand_gen
        self._add, self._subtract = arrays.parameters_addition, arrays.parameters_subtraction
        self._reduce = arrays.parameters_mod
        self._own = os.urandom(32)
        self._pairs = [base64.urlsafe_b64encode(os.urandom(32)) for _ in range(neighbours)]
        self.name = f"Flower SecAgg+ client, {neighbours} neighbours"
        self.note = "masks only; Mersenne Twister, 32-bit seeds"

    def mask(self, values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Hide values modulo 2^32."""
        return self._masked(values, sign=1)

    def unmask(self, masked: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Take the same masks away."""
        return self._masked(masked, sign=-1)

    def _masked(self, values: npt.NDArray[np.int64], *, sign: int) -> npt.NDArray[np.int64]:
        plus, minus = (self._add, self._subtract) if sign > 0 else (self._subtract, self._add)
        shapes = [values.shape]
        total = plus([values], self._generate(self._own, MODULUS, shapes))
        for index, seed in enumerate(self._pairs):
            step = plus if index % 2 else minus
            total = step(total, self._generate(seed, MODULUS, shapes))
        reduced: npt.NDArray[np.int64] = self._reduce(total, MODULUS)[0]
        return reduced
