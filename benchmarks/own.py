"""Kapok's own Paillier behind the verbs that its peers have, bytes to bytes as it travels."""

from __future__ import annotations

import secrets
from typing import Final

import numpy as np
import numpy.typing as npt

from benchmarks.keys import BenchmarkKey
from benchmarks.oracle import opened
from kapok.protocols.arithmetic import FixedBase
from kapok.protocols.paillier import scheme
from kapok.protocols.paillier.plaintexts import PlaintextVector
from kapok.protocols.paillier.pool import ObfuscatorPool
from kapok.protocols.paillier.vector import CiphertextVector

__all__ = ["Kapok"]

_POOL: Final = 1024


class Kapok:
    """Encryption, addition and decryption under one key and degree.

    Plaintexts are `PlaintextVector`, ciphertexts `CiphertextVector`: what packing makes and what is sent.
    """

    def __init__(self, key: BenchmarkKey, degree: int = 1, *, expected: int = 1) -> None:
        """Take the key; the table is made for vectors of `expected` ciphertexts."""
        self.key, self.degree, self.expected = key, degree, expected
        self.public = key.private.public
        self._most = key.n**degree
        self._table: FixedBase | None = None
        self._pool: tuple[list[int], npt.NDArray[np.uint8]] | None = None

    @property
    def plaintext_bits(self) -> int:
        """Bits of a plaintext."""
        return self.degree * (self.key.bits - 1)

    def random(self, count: int) -> PlaintextVector:
        """Fresh plaintexts out of the whole range."""
        numbers = [secrets.randbelow(self._most) for _ in range(count)]
        return PlaintextVector.from_integers(self.public, numbers, self.degree)

    def encrypt(self, plaintexts: PlaintextVector) -> CiphertextVector:
        """With fresh randomness each."""
        return scheme.encrypt(self.public, plaintexts, table=self._made_table())

    def filled_pool(self, count: int) -> ObfuscatorPool:
        """A pool with as many obfuscators as will be used."""
        pool = ObfuscatorPool(self.public, self.degree, count)
        pool.fill(count)
        return pool

    def _made_table(self) -> FixedBase:
        """The table, made at the first use."""
        if self._table is None:
            self._table = scheme.table_for(self.public, self.degree, self.expected)
        return self._table

    def table(self) -> tuple[int, int]:
        """Memory of the table for this key and degree, and products for a power."""
        table = self._made_table()
        return table.table_bytes, table.comb.span

    def add(self, vectors: list[CiphertextVector]) -> CiphertextVector:
        """Element by element, what came checked as a broker checks it."""
        return scheme.add(self.public, vectors)

    def decrypt(self, ciphertexts: CiphertextVector) -> PlaintextVector:
        """By the private key."""
        return self.key.private.decrypt(ciphertexts)

    def multiply(self, ciphertexts: CiphertextVector, scalars: list[int]) -> CiphertextVector:
        """By an integer each."""
        return scheme.scale(self.public, ciphertexts, scalars)

    def drawn(self, count: int) -> tuple[list[int], CiphertextVector]:
        """Numbers drawn from a pool that is encrypted once, and their ciphertexts: operands made quickly."""
        if self._pool is None:
            plaintexts = self.random(_POOL)
            made = np.frombuffer(self.encrypt(plaintexts).body, dtype=np.uint8).reshape(_POOL, -1)
            self._pool = self.integers(plaintexts), made
        numbers, rows = self._pool
        places = np.random.default_rng().integers(0, _POOL, count)
        body = rows[places].tobytes()
        return [numbers[place] for place in places], CiphertextVector(
            self.public.key_id, self.degree, count, body
        )

    def integers(self, plaintexts: PlaintextVector) -> list[int]:
        """The same numbers as Python integers."""
        return plaintexts.to_integers(self.public)

    def opened(self, ciphertexts: CiphertextVector, indices: list[int]) -> list[int]:
        """Some of the plaintexts, by plain integers."""
        width = self.public.ciphertext_bytes(self.degree)
        chosen = b"".join(ciphertexts.body[index * width : (index + 1) * width] for index in indices)
        vector = CiphertextVector.from_body(self.public, chosen, self.degree)
        return [opened(self.key, number, self.degree) for number in vector.to_integers(self.public)]
