"""A vector of plaintexts: the N-adic digits of integers modulo N^s, fixed width, as ciphertexts have them.

For packed words no digit ever reaches N, so that adding plaintexts adds digits without carries, and nothing
is divided by N on the way from words to digits and back (`kapok.protocols.paillier.packing`).

A plaintext can be a holder's contribution in clear: it does not print and cannot be pickled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from kapok.errors import InvalidInput
from kapok.errors.secrecy import NeverPickled
from kapok.protocols.paillier.public import MOST_DEGREE, PublicKey

__all__ = ["PlaintextVector"]


@dataclass(frozen=True, slots=True, eq=False)
class PlaintextVector(NeverPickled):
    """Plaintexts of one degree, in order.

    Attributes:
        digits: Shape (count, degree, ⌈|N|/8⌉), dtype uint8: the digits of each plaintext, the lowest first,
            each little-endian and below N. C-contiguous.

    Raises:
        InvalidInput: code ``bad_plaintexts`` for another shape, dtype or order; ``no_plaintexts`` for none.
    """

    digits: npt.NDArray[np.uint8] = field(repr=False)

    def __post_init__(self) -> None:
        digits = self.digits
        if digits.ndim != 3 or digits.dtype != np.uint8 or not digits.flags.c_contiguous:
            raise InvalidInput("plaintexts are contiguous bytes in three dimensions", code="bad_plaintexts")
        if not len(digits):
            raise InvalidInput("there is nothing to encrypt", code="no_plaintexts")
        if not 1 <= digits.shape[1] <= MOST_DEGREE:
            raise InvalidInput(f"a degree is 1 to {MOST_DEGREE}", code="bad_plaintexts")

    @classmethod
    def from_integers(cls, key: PublicKey, integers: Sequence[int], degree: int = 1) -> PlaintextVector:
        """Write integers as digits.

        Raises:
            InvalidInput: code ``plaintext_overflow`` for an integer out of [0, N^degree); otherwise as the
                class.
        """
        if not 1 <= degree <= MOST_DEGREE:
            raise InvalidInput(f"a degree is 1 to {MOST_DEGREE}", code="bad_plaintexts")
        width, limit = key.digit_bytes, key.n**degree
        body = bytearray()
        for integer in integers:
            if not 0 <= integer < limit:
                raise InvalidInput("a plaintext does not fit the result key", code="plaintext_overflow")
            rest = integer
            for _ in range(degree):
                rest, digit = divmod(rest, key.n)
                body += digit.to_bytes(width, "little")
        return cls(np.frombuffer(bytes(body), dtype=np.uint8).reshape(-1, degree, width))

    def to_integers(self, key: PublicKey) -> list[int]:
        """The plaintexts as integers in [0, N^degree).

        Raises:
            InvalidInput: code ``plaintext_overflow`` for a digit of another width than the key's, or not
                below N.
        """
        _, degree, width = self.digits.shape
        body, step = self.digits.tobytes(), degree * width
        if width != key.digit_bytes:
            raise InvalidInput("the plaintexts do not fit the result key", code="plaintext_overflow")
        integers = []
        for start in range(0, len(body), step):
            integer = 0
            for digit in range(start + step - width, start - 1, -width):
                value = int.from_bytes(body[digit : digit + width], "little")
                if value >= key.n:
                    raise InvalidInput("a plaintext does not fit the result key", code="plaintext_overflow")
                integer = integer * key.n + value
            integers.append(integer)
        return integers

    @property
    def degree(self) -> int:
        """s: digits of a plaintext."""
        return int(self.digits.shape[1])

    def __len__(self) -> int:
        return len(self.digits)
