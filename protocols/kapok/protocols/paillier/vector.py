"""A vector of Paillier ciphertexts as it travels: contiguous canonical N-adic digits.

A ciphertext c modulo N² is written c = c₀ + c₁·N, both digits in [0, N), each little-endian in ⌈|N|/8⌉ bytes.
Canonical for secrecy too: an unreduced digit would carry a few bits about the randomness. c₀ must be a unit
modulo N, for one that is not would factor N, or bring the product of everybody's ciphertexts to zero.

`CiphertextVector.from_body` is the strict parser for what a peer sent. Integers the size of a ciphertext
appear only through `to_integers` and `from_integers`, which the plain arithmetic and the exchange with other
libraries use.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from kapok.errors import InvalidInput, PeerProtocolError
from kapok.protocols.paillier.public import PublicKey

__all__ = ["KEY_ID_BYTES", "CiphertextVector"]

KEY_ID_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class CiphertextVector:
    """Ciphertexts under one public key, in order.

    Attributes:
        key_id: `PublicKey.key_id` of the key that they are under, 32 bytes.
        count: Number of ciphertexts, at least 1.
        body: count × 2 digits, c₀ before c₁.

    Raises:
        PeerProtocolError: code ``bad_ciphertext`` where the lengths cannot be right under any key.
    """

    key_id: bytes
    count: int
    body: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.key_id) != KEY_ID_BYTES:
            raise _bad_ciphertext(f"the key id has {len(self.key_id)} bytes instead of {KEY_ID_BYTES}")
        if self.count < 1 or not self.body or len(self.body) % (2 * self.count):
            raise _bad_ciphertext(f"{len(self.body)} bytes are not {self.count} ciphertexts")

    @classmethod
    def from_body(cls, key: PublicKey, body: bytes) -> CiphertextVector:
        """Read ciphertexts that a peer sent, under `key`.

        Raises:
            PeerProtocolError: code ``bad_ciphertext`` for a part of a ciphertext at the end, for none at all,
                for a digit that is not below N, for a ciphertext that is no unit.
        """
        count, rest = divmod(len(body), key.ciphertext_bytes)
        if rest:
            raise _bad_ciphertext(f"{len(body)} bytes are no whole number of ciphertexts")
        vector = cls(key.key_id, count, bytes(body))
        vector.to_integers(key)
        return vector

    @classmethod
    def from_integers(cls, key: PublicKey, ciphertexts: Sequence[int]) -> CiphertextVector:
        """Write ciphertexts given as integers modulo N², e.g. those of another library.

        Raises:
            InvalidInput: code ``bad_ciphertext`` for none at all, for one out of [0, N²), for one that is no
                unit.
        """
        if not ciphertexts or any(not 0 <= ciphertext < key.n_squared for ciphertext in ciphertexts):
            raise InvalidInput("ciphertexts must be integers from 0 to N² − 1", code="bad_ciphertext")
        if not _all_units(key, ciphertexts):
            raise InvalidInput("a ciphertext shares a factor with the key's modulus", code="bad_ciphertext")
        width = key.digit_bytes
        body = b"".join(
            digit.to_bytes(width, "little")
            for ciphertext in ciphertexts
            for digit in reversed(divmod(ciphertext, key.n))
        )
        return cls(key.key_id, len(ciphertexts), body)

    def to_integers(self, key: PublicKey) -> list[int]:
        """The ciphertexts as integers modulo N², all checked.

        Raises:
            PeerProtocolError: code ``wrong_result_key`` where `key` is not the one that they are under,
                ``bad_ciphertext`` for a digit that is not below N or a ciphertext that is no unit.
        """
        self.check_key(key)
        width = key.digit_bytes
        if len(self.body) != self.count * key.ciphertext_bytes:
            raise _bad_ciphertext(f"{len(self.body)} bytes are not {self.count} ciphertexts of this key")
        digits = [
            int.from_bytes(self.body[start : start + width], "little")
            for start in range(0, len(self.body), width)
        ]
        if any(digit >= key.n for digit in digits):
            raise _bad_ciphertext("a digit is not below the key's modulus")
        if not _all_units(key, digits[::2]):
            raise _bad_ciphertext("a ciphertext shares a factor with the key's modulus")
        return [low + high * key.n for low, high in zip(digits[::2], digits[1::2], strict=True)]

    def check_key(self, key: PublicKey) -> None:
        """Refuse a key that these ciphertexts are not under.

        Raises:
            PeerProtocolError: code ``wrong_result_key``.
        """
        if self.key_id != key.key_id:
            raise PeerProtocolError("the ciphertexts are under another result key", code="wrong_result_key")

    def __len__(self) -> int:
        return self.count


def _all_units(key: PublicKey, numbers: Sequence[int]) -> bool:
    """Whether every number is a unit modulo N: their product is one exactly if each of them is."""
    product = 1
    for number in numbers:
        product = product * number % key.n
    return math.gcd(product, key.n) == 1


def _bad_ciphertext(why: str) -> PeerProtocolError:
    return PeerProtocolError(f"a sealed vector is malformed: {why}", code="bad_ciphertext")
