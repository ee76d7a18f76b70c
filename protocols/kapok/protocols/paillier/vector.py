"""A vector of Paillier ciphertexts as it travels: contiguous canonical N-adic digits.

A ciphertext c modulo N^(s+1) is written c = c₀ + c₁·N + … + c_s·N^s, all digits in [0, N), each
little-endian in ⌈|N|/8⌉ bytes. Canonical for secrecy too: an unreduced digit would carry a few bits about
the randomness. c₀ must be a unit modulo N, for one that is not would factor N, or bring the product of
everybody's ciphertexts to zero.

`CiphertextVector.from_body` is the strict parser for what a peer sent. Integers the size of a ciphertext
appear only through `to_integers` and `from_integers`, which the plain arithmetic and the exchange with other
libraries use.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from kapok.errors import InvalidInput, PeerProtocolError
from kapok.protocols.paillier.digits import are_canonical, are_units
from kapok.protocols.paillier.public import MOST_DEGREE, PublicKey
from kapok.protocols.radix import read_numbers, write_numbers

__all__ = ["KEY_ID_BYTES", "CiphertextVector", "bad_ciphertext", "check_alike"]

KEY_ID_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class CiphertextVector:
    """Ciphertexts of one degree under one public key, in order.

    Attributes:
        key_id: `PublicKey.key_id` of the key that they are under, 32 bytes.
        degree: s, 1 to `MOST_DEGREE`.
        count: Number of ciphertexts, at least 1.
        body: count × (s + 1) digits, c₀ first.

    Raises:
        PeerProtocolError: code ``bad_ciphertext`` where the lengths cannot be right under any key.
    """

    key_id: bytes
    degree: int
    count: int
    body: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.key_id) != KEY_ID_BYTES:
            raise bad_ciphertext(f"the key id has {len(self.key_id)} bytes instead of {KEY_ID_BYTES}")
        if not 1 <= self.degree <= MOST_DEGREE:
            raise bad_ciphertext(f"there is no degree {self.degree}")
        if self.count < 1 or not self.body or len(self.body) % ((self.degree + 1) * self.count):
            raise bad_ciphertext(f"{len(self.body)} bytes are not {self.count} ciphertexts")

    @classmethod
    def from_body(cls, key: PublicKey, body: bytes, degree: int = 1) -> CiphertextVector:
        """Read ciphertexts of a degree that a peer sent, under `key`.

        Raises:
            PeerProtocolError: code ``bad_ciphertext`` for a part of a ciphertext at the end, for none at all,
                for a digit that is not below N, for a ciphertext that is no unit.
        """
        if not 1 <= degree <= MOST_DEGREE:
            raise bad_ciphertext(f"there is no degree {degree}")
        count, rest = divmod(len(body), key.ciphertext_bytes(degree))
        if rest:
            raise bad_ciphertext(f"{len(body)} bytes are no whole number of ciphertexts")
        vector = cls(key.key_id, degree, count, bytes(body))
        vector.check(key)
        return vector

    @classmethod
    def of_digits(cls, key: PublicKey, digits: npt.NDArray[np.uint8]) -> CiphertextVector:
        """Write digits that an arithmetic has made: shape (count, degree + 1, ⌈|N|/8⌉), dtype uint8."""
        return cls(key.key_id, digits.shape[1] - 1, len(digits), digits.tobytes())

    @classmethod
    def from_integers(cls, key: PublicKey, ciphertexts: Sequence[int], degree: int = 1) -> CiphertextVector:
        """Write ciphertexts given as integers modulo N^(degree+1), e.g. those of another library.

        Raises:
            InvalidInput: code ``bad_ciphertext`` for none at all, for one out of [0, N^(degree+1)), for one
                that is no unit.
        """
        limit = key.n ** (degree + 1)
        if not ciphertexts or any(not 0 <= ciphertext < limit for ciphertext in ciphertexts):
            raise InvalidInput(
                f"ciphertexts must be integers from 0 to N^{degree + 1} − 1", code="bad_ciphertext"
            )
        if any(math.gcd(ciphertext, key.n) != 1 for ciphertext in ciphertexts):
            raise InvalidInput("a ciphertext shares a factor with the key's modulus", code="bad_ciphertext")
        body = write_numbers(ciphertexts, key.n, degree + 1, key.digit_bytes)
        return cls(key.key_id, degree, len(ciphertexts), body)

    def to_integers(self, key: PublicKey, *, check_units: bool = True) -> list[int]:
        """The ciphertexts as integers modulo N^(degree+1), all checked.

        Args:
            key: The key that they are under.
            check_units: Whether to refuse what is no unit here: whoever opens ciphertexts sees it later.

        Raises:
            PeerProtocolError: code ``wrong_result_key`` where `key` is not the one that they are under,
                ``bad_ciphertext`` for a digit that is not below N or a ciphertext that is no unit.
        """
        self.check(key, units=check_units)
        return read_numbers(self.body, key.n, self.degree + 1, key.digit_bytes)

    def digits(self, key: PublicKey) -> npt.NDArray[np.uint8]:
        """The digits as they travel, unchecked: shape (count, degree + 1, ⌈|N|/8⌉), dtype uint8, read-only.

        Raises:
            PeerProtocolError: code ``wrong_result_key`` or, for a wrong length, ``bad_ciphertext``.
        """
        self.check_key(key)
        return np.frombuffer(self.body, dtype=np.uint8).reshape(self.count, self.degree + 1, key.digit_bytes)

    def check(self, key: PublicKey, *, units: bool = True) -> None:
        """Refuse what is not canonical ciphertexts under `key`.

        Args:
            key: The key that they should be under.
            units: Whether to refuse what is no unit, too.

        Raises:
            PeerProtocolError: code ``wrong_result_key`` where `key` is not the one that they are under,
                ``bad_ciphertext`` for a digit that is not below N or a ciphertext that is no unit.
        """
        digits = self.digits(key)
        if not are_canonical(key, digits):
            raise bad_ciphertext("a digit is not below the key's modulus")
        if units and not are_units(key, digits):
            raise bad_ciphertext("a ciphertext shares a factor with the key's modulus")

    def check_key(self, key: PublicKey) -> None:
        """Refuse a key that these ciphertexts are not under, or whose ciphertexts have another length.

        Raises:
            PeerProtocolError: code ``wrong_result_key``, or ``bad_ciphertext`` for a length.
        """
        if self.key_id != key.key_id:
            raise PeerProtocolError("the ciphertexts are under another result key", code="wrong_result_key")
        if len(self.body) != self.count * key.ciphertext_bytes(self.degree):
            raise bad_ciphertext(f"{len(self.body)} bytes are not {self.count} ciphertexts of this key")

    def __len__(self) -> int:
        return self.count


def check_alike(vectors: Sequence[CiphertextVector]) -> None:
    """Refuse vectors that cannot be added to each other.

    Raises:
        InvalidInput: code ``no_vectors`` for none at all.
        PeerProtocolError: code ``bad_ciphertext`` for vectors of different lengths or degrees.
    """
    if not vectors:
        raise InvalidInput("there are no encrypted vectors to add", code="no_vectors")
    if len({(vector.count, vector.degree) for vector in vectors}) > 1:
        raise PeerProtocolError("the sealed vectors differ in length", code="bad_ciphertext")


def bad_ciphertext(why: str) -> PeerProtocolError:
    """What a vector that cannot be used is refused with."""
    return PeerProtocolError(f"a sealed vector is malformed: {why}", code="bad_ciphertext")
