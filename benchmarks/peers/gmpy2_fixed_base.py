"""Damgård–Jurik–Nielsen encryption as one would write it well with gmpy2, for the comparison.

    c = (1 + mN) · h_s^a mod N²,  a of ⌈|N|/2⌉ bits;  h_s^a = Π T[i][digit i of a],  T[i][d] = h_s^(d·2^(wi))

No squarings: ⌈⌈|N|/2⌉/w⌉ products by table entries, w the largest window whose table stays within the memory
that Kapok's own tables may take. Decryption by the Chinese remainder theorem over GMP's exponentiation, a
whole batch to a call (`powmod_base_list`, which lets other threads run).

Sources: Brickell, Gordon, McCurley, Wilson, *Fast exponentiation with precomputation* (EUROCRYPT 1992);
Damgård, Jurik, Nielsen (IJIS 9, 2010); Paillier (EUROCRYPT 1999), section 7.
"""

from __future__ import annotations

import secrets
from typing import Any, Final

from benchmarks.keys import BenchmarkKey
from benchmarks.peers import load

__all__ = ["FixedBase", "table_bytes", "widest_window"]

DEFAULT_TABLE_BYTES: Final = 200_000_000
_OBJECT_BYTES: Final = 40
_WIDEST: Final = 16


class FixedBase:
    """Implements `PaillierPeer`; works under Kapok's own key."""

    name = "gmpy2, fixed base"
    batch = 128

    def __init__(self, key: BenchmarkKey, *, most_bytes: int = DEFAULT_TABLE_BYTES) -> None:
        """Build the table of h_s."""
        self._gmp = load("gmpy2", "gmpy2")
        mpz = self._gmp.mpz
        self._n, self._n_squared = mpz(key.n), mpz(key.n) ** 2
        self.exponent_bits = -(-key.bits // 2)
        self.window = widest_window(key.bits, self.exponent_bits, most_bytes)
        self.table_bytes = table_bytes(key.bits, self.exponent_bits, self.window)
        self.note = f"windows of {self.window} bits, table {self.table_bytes / 1e6:.0f} MB"
        self._table = self._windows(mpz(key.h_s))
        self._primes = [_Prime(self._gmp, key.p, key.q), _Prime(self._gmp, key.q, key.p)]
        self._q_inverse = self._gmp.invert(mpz(key.q), mpz(key.p))

    def encode(self, plaintexts: list[int]) -> list[int]:
        """Integers are what it takes."""
        return plaintexts

    def encrypt(self, plaintexts: list[int]) -> list[Any]:
        """One product for each window, and one for the plaintext."""
        n, n_squared, mpz = self._n, self._n_squared, self._gmp.mpz
        out = []
        for plaintext in plaintexts:
            # (1 + mN)·r = r + N·(m·r mod N): half the width of a product modulo N².
            randomness = self._power(secrets.randbits(self.exponent_bits))
            out.append((randomness + n * (mpz(plaintext) * randomness % n)) % n_squared)
        return out

    def encrypted(self, numbers: list[int], ciphertexts: list[int]) -> list[Any]:  # noqa: ARG002
        """Given ciphertexts, as `mpz`."""
        return [self._gmp.mpz(ciphertext) for ciphertext in ciphertexts]

    def add(self, vectors: list[list[Any]]) -> list[Any]:
        """Products modulo N²."""
        total, *others = vectors
        for other in others:
            total = [left * right % self._n_squared for left, right in zip(total, other, strict=True)]
        return total

    def add_bytes(self, vectors: list[bytes], width: int) -> bytes:
        """The same from and to little-endian integers of `width` bytes, as they would travel."""
        mpz, n_squared = self._gmp.mpz, self._n_squared
        out = bytearray()
        for start in range(0, len(vectors[0]), width):
            product = mpz(1)
            for vector in vectors:
                factor = mpz(int.from_bytes(vector[start : start + width], "little"))
                product = product * factor % n_squared
            out += int(product).to_bytes(width, "little")
        return bytes(out)

    def decrypt(self, ciphertexts: list[Any]) -> list[int]:
        """Modulo p² and q², joined."""
        by_p, by_q = (prime.logarithms(ciphertexts) for prime in self._primes)
        p, q = (prime.prime for prime in self._primes)
        return [
            int(right + q * ((left - right) * self._q_inverse % p))
            for left, right in zip(by_p, by_q, strict=True)
        ]

    def opened(self, ciphertexts: list[Any]) -> dict[int, int]:
        """It opens its own."""
        return dict(enumerate(self.decrypt(ciphertexts)))

    def _windows(self, base: Any) -> list[list[Any]]:
        table = []
        for _ in range(-(-self.exponent_bits // self.window)):
            row = [self._gmp.mpz(1)]
            for _ in range((1 << self.window) - 1):
                row.append(row[-1] * base % self._n_squared)
            table.append(row)
            base = row[-1] * base % self._n_squared
        return table

    def _power(self, exponent: int) -> Any:
        mask, n_squared = (1 << self.window) - 1, self._n_squared
        product = self._table[0][exponent & mask]
        for row in self._table[1:]:
            exponent >>= self.window
            product = product * row[exponent & mask] % n_squared
        return product


class _Prime:
    """One prime factor's half of decryption."""

    def __init__(self, gmp: Any, prime: int, other: int) -> None:
        self._gmp = gmp
        self.prime = gmp.mpz(prime)
        self._square = self.prime**2
        self._scale = gmp.invert(gmp.mpz(-other) % self.prime, self.prime)

    def logarithms(self, ciphertexts: list[Any]) -> list[Any]:
        powers = self._gmp.powmod_base_list(ciphertexts, self.prime - 1, self._square)
        return [(power - 1) // self.prime * self._scale % self.prime for power in powers]


def widest_window(key_bits: int, exponent_bits: int, most_bytes: int) -> int:
    """The window with the fewest products whose table takes at most so many bytes; 1 at least."""
    fitting = [
        window
        for window in range(1, _WIDEST + 1)
        if table_bytes(key_bits, exponent_bits, window) <= most_bytes
    ]
    return max(fitting, default=1)


def table_bytes(key_bits: int, exponent_bits: int, window: int) -> int:
    """Memory of a table: entries modulo N² with what an object of gmpy2 takes besides."""
    entries = -(-exponent_bits // window) << window
    return entries * (-(-key_bits // 4) + _OBJECT_BYTES)
