"""pypaillier 0.8.0 (Rust over GMP): Damgård–Jurik with a short exponent, whole batches to a call.

Encryption and addition run under Kapok's modulus, with a base of randomness of its own. Decryption wants
safe primes, so it gets a key pair of its own, whose making takes seconds at 2048 bits and much longer above.
"""

from __future__ import annotations

from typing import Any

from benchmarks.keys import BenchmarkKey
from benchmarks.oracle import opened, sampled
from benchmarks.peers import load

__all__ = ["RustPaillier"]


class RustPaillier:
    """Implements `PaillierPeer`."""

    name = "pypaillier"
    batch = 128

    def __init__(self, key: BenchmarkKey, *, own_keys: bool = False) -> None:
        """Take the modulus, or make a key pair (`own_keys`), which decryption needs."""
        self._library = load("paillier", "pypaillier")
        self._key = key
        self._secret: Any = None
        if own_keys:
            self._public, self._secret = self._library.generate_keypair(key.bits)
        else:
            self._public = self._library.PublicKey.from_n(key.n.to_bytes(-(-key.bits // 8), "big"))
        self.note = f"exponent of {self._public.exponent_bits} bits"

    def encode(self, plaintexts: list[int]) -> list[int]:
        """Integers are what it takes."""
        return plaintexts

    def encrypt(self, plaintexts: list[int]) -> list[bytes]:
        """Integers as they are, at most |N| − 21 bits."""
        return [bytes(blob) for blob in self._library.encrypt_integers(self._public, plaintexts)]

    def encrypted(self, numbers: list[int], ciphertexts: list[int]) -> list[bytes]:
        """Given ciphertexts in its form, a byte for the scale before the number, where the key is ours."""
        if self._secret is not None:
            return self.encrypt(numbers)
        return [b"\0" + number.to_bytes(-(-number.bit_length() // 8), "big") for number in ciphertexts]

    def add(self, vectors: list[list[bytes]]) -> list[bytes]:
        """All sums in one call."""
        count = len(vectors[0])
        blobs = [blob for vector in vectors for blob in vector]
        blocks = [list(range(index, len(blobs), count)) for index in range(count)]
        return [bytes(blob) for blob in self._library.add_blocks(self._public, blobs, blocks)]

    def decrypt(self, ciphertexts: list[bytes]) -> list[int]:
        """Exact; from decimal text."""
        return [int(text) for text in self._library.decrypt_many(self._secret, ciphertexts)]

    def opened(self, ciphertexts: list[bytes]) -> dict[int, int]:
        """Behind one byte for the scale, a ciphertext is big-endian."""
        if self._secret is not None:
            return dict(enumerate(self.decrypt(ciphertexts)))
        places = sampled(len(ciphertexts))
        return {place: opened(self._key, int.from_bytes(ciphertexts[place][1:], "big")) for place in places}
