"""phe 1.5.0 over gmpy2: the usual Paillier of Python, and the baseline of every ratio.

Encryption of integers as they are (`raw_encrypt`, without its encoding of floats), addition of its own
`EncryptedNumber` objects in memory, decryption by `raw_decrypt`.
"""

from __future__ import annotations

from typing import Any

from benchmarks.keys import BenchmarkKey
from benchmarks.peers import Absent, load

__all__ = ["PheGmpy2"]


class PheGmpy2:
    """Implements `PaillierPeer`; works under Kapok's own key."""

    name = "phe with gmpy2"
    note = "its own objects, in memory"
    batch = 16

    def __init__(self, key: BenchmarkKey) -> None:
        """Take the factors over."""
        phe = load("phe", "phe")
        if not load("phe.util", "phe").HAVE_GMP:
            raise Absent("phe runs without gmpy2 here")
        self._public = phe.PaillierPublicKey(key.n)
        self._private = phe.PaillierPrivateKey(self._public, key.p, key.q)
        self._number = phe.EncryptedNumber

    def encode(self, plaintexts: list[int]) -> list[int]:
        """Integers are what it takes."""
        return plaintexts

    def encrypt(self, plaintexts: list[int]) -> list[Any]:
        """One modular exponentiation each."""
        raw = self._public.raw_encrypt
        return [self._number(self._public, raw(plaintext)) for plaintext in plaintexts]

    def encrypted(self, numbers: list[int], ciphertexts: list[int]) -> list[Any]:  # noqa: ARG002
        """Its objects around given ciphertexts."""
        return [self._number(self._public, ciphertext) for ciphertext in ciphertexts]

    def add(self, vectors: list[list[Any]]) -> list[Any]:
        """Its `+`, which multiplies modulo N²."""
        total, *others = vectors
        for other in others:
            total = [left + right for left, right in zip(total, other, strict=True)]
        return total

    def multiply(self, ciphertexts: list[Any], scalars: list[int]) -> list[Any]:
        """Its `*` by integers."""
        return [number * scalar for number, scalar in zip(ciphertexts, scalars, strict=True)]

    def decrypt(self, ciphertexts: list[Any]) -> list[int]:
        """By the Chinese remainder theorem, without decoding."""
        raw = self._private.raw_decrypt
        return [int(raw(number.ciphertext(be_secure=False))) for number in ciphertexts]

    def opened(self, ciphertexts: list[Any]) -> dict[int, int]:
        """It opens its own."""
        return dict(enumerate(self.decrypt(ciphertexts)))

    def open_integers(self, ciphertexts: list[int]) -> list[int]:
        """Open ciphertexts that another library made."""
        return [int(self._private.raw_decrypt(ciphertext)) for ciphertext in ciphertexts]
