"""Kapok's own Paillier behind the verbs that its peers have, bytes to bytes as it travels."""

from __future__ import annotations

import secrets

from benchmarks.keys import BenchmarkKey
from benchmarks.oracle import opened
from kapok.protocols.arithmetic import Digits
from kapok.protocols.paillier import tables, vectorised
from kapok.protocols.paillier.plaintexts import PlaintextVector
from kapok.protocols.paillier.vector import CiphertextVector

__all__ = ["Kapok"]


class Kapok:
    """Encryption, addition and decryption under one key and degree.

    Plaintexts are `PlaintextVector`, ciphertexts `CiphertextVector`: what packing makes and what is sent.
    """

    def __init__(self, key: BenchmarkKey, degree: int = 1, *, expected: int = 1) -> None:
        """Take the key; tables are made for vectors of at least `expected` ciphertexts."""
        self.key, self.degree, self.expected = key, degree, expected
        self.public = key.private.public
        self._most = key.n**degree

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
        return vectorised.encrypt(self.public, plaintexts, max(len(plaintexts), self.expected))

    def filled_pool(self, count: int) -> Digits:
        """As many obfuscators as will be used."""
        return vectorised.obfuscators(self.public, self.degree, count, max(count, self.expected))

    def encrypt_from(self, plaintexts: PlaintextVector, pool: Digits) -> CiphertextVector:
        """With randomness that was made before."""
        return vectorised.with_obfuscators(self.public, plaintexts, pool)

    def table(self) -> tuple[int, int] | None:
        """Memory of the table that is kept for this key and degree, and products for a power."""
        kept = tables._tables.get((self.public.key_id, self.degree))
        return None if kept is None else (kept[1].table_bytes, kept[1].comb.span)

    def add(self, vectors: list[CiphertextVector]) -> CiphertextVector:
        """Element by element, what came checked as a broker checks it."""
        return vectorised.add(self.public, vectors)

    def decrypt(self, ciphertexts: CiphertextVector) -> PlaintextVector:
        """By the private key."""
        return self.key.private.decrypt(ciphertexts)

    def multiply(self, ciphertexts: CiphertextVector, scalars: list[int]) -> CiphertextVector:
        """By an integer each."""
        return vectorised.scale(self.public, ciphertexts, scalars)

    def integers(self, plaintexts: PlaintextVector) -> list[int]:
        """The same numbers as Python integers."""
        return plaintexts.to_integers(self.public)

    def opened(self, ciphertexts: CiphertextVector, indices: list[int]) -> list[int]:
        """Some of the plaintexts, by plain integers."""
        width = self.public.ciphertext_bytes(self.degree)
        chosen = b"".join(ciphertexts.body[index * width : (index + 1) * width] for index in indices)
        vector = CiphertextVector.from_body(self.public, chosen, self.degree)
        return [opened(self.key, number, self.degree) for number in vector.to_integers(self.public)]
