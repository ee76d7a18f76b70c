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
from kapok.protocols.paillier.digits import are_canonical
from kapok.protocols.paillier.public import MOST_DEGREE, PublicKey
from kapok.protocols.radix import read_numbers, write_numbers

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
        try:
            body = write_numbers(integers, key.n, degree, key.digit_bytes)
        except OverflowError:
            raise _overflow() from None
        return cls(np.frombuffer(body, dtype=np.uint8).reshape(-1, degree, key.digit_bytes))

    def to_integers(self, key: PublicKey) -> list[int]:
        """The plaintexts as integers in [0, N^degree).

        Raises:
            InvalidInput: code ``plaintext_overflow`` for a digit of another width than the key's, or not
                below N.
        """
        if not are_canonical(key, self.digits):
            raise _overflow()
        return read_numbers(self.digits.tobytes(), key.n, self.degree, key.digit_bytes)

    @property
    def degree(self) -> int:
        """s: digits of a plaintext."""
        return int(self.digits.shape[1])

    def __len__(self) -> int:
        return len(self.digits)


def _overflow() -> InvalidInput:
    return InvalidInput("a plaintext does not fit the result key", code="plaintext_overflow")
