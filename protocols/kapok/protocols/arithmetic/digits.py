"""Fixed-width N-adic digits in bytes, from and to limbs of 24 bits, for many columns at once.

A digit is little-endian bytes; eight limbs are three 64-bit words, so that both ways are a few shifts of
whole arrays. Limbs are centred for reading (2^23 taken off, which a last row of ones gives back through its
weight in `Constants.read_a`): that saves a bit of the range of float64.

What leaves is canonical, every digit in [0, N): the kernel writes each part less ⌊part/N⌋·N, the floor taken
in float64; where a quotient lies so close to an integer that it could be wrong by one, the digit itself is
compared with 0 and N.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kapok.errors import InvalidInput
from kapok.protocols.arithmetic.bases import LIMB_BITS, Floats, Integers
from kapok.protocols.arithmetic.ring import Ring

__all__ = [
    "Digits",
    "LimbReader",
    "LimbWriter",
    "check_digits",
    "from_integers",
    "is_canonical",
    "to_integers",
]

Digits = npt.NDArray[np.uint8]

_MASK = (1 << LIMB_BITS) - 1
_WORDS, _LIMBS = 3, 8  # words of 64 bits and limbs in a group
_WORD_BYTES = 8


class LimbReader:
    """Bytes of digits to limbs, for up to `columns` elements of `parts` digits at a time.

    Attributes:
        limbs: (parts, limbs+1, columns): what was read last.
    """

    def __init__(self, ring: Ring, columns: int, parts: int | None = None) -> None:
        self._width = ring.width
        self._parts = ring.parts if parts is None else parts
        self._count = ring.constants.limbs
        self._groups = -(-self._count // _LIMBS)
        self._padded = np.zeros((self._parts, columns, self._groups * _WORDS * _WORD_BYTES), dtype=np.uint8)
        self._words = np.zeros((self._parts, self._groups * _WORDS, columns), dtype=np.uint64)
        self._integers = np.zeros((self._parts, self._groups, _LIMBS, columns), dtype=np.int64)
        self.limbs: Floats = np.ones((self._parts, self._count + 1, columns))

    def read(self, digits: Digits) -> Floats:
        """The limbs of digits (count, parts, width), count up to `columns`; the rest stays as it was."""
        count = len(digits)
        self._padded[:, :count, : self._width] = digits.transpose(1, 0, 2)
        words = self._padded.view(np.uint64)
        np.copyto(self._words, words.transpose(0, 2, 1))
        _limbs_of_words(self._words, self._integers)
        integers = self._integers.reshape(self._parts, self._groups * _LIMBS, -1)[:, : self._count]
        np.subtract(integers, 1 << (LIMB_BITS - 1), out=self.limbs[:, : self._count], casting="unsafe")
        return self.limbs


class LimbWriter:
    """Limbs that a kernel wrote to canonical digits, for up to `columns` elements at a time.

    Attributes:
        limbs: (parts, out_limbs, columns), for `Kernel.write`.
        quotients: (parts, 1, columns), for `Kernel.write`.
    """

    def __init__(self, ring: Ring, columns: int) -> None:
        constants = ring.constants
        self._width = ring.width
        self._modulus = constants.modulus_limbs[:, None]
        self._used = constants.limbs
        self._groups = -(-self._used // _LIMBS)
        self._doubt = _doubt(ring)
        self.limbs: Floats = np.zeros((ring.parts, constants.out_limbs, columns))
        self.quotients: Floats = np.zeros((ring.parts, 1, columns))
        self._carried = np.zeros((max(constants.out_limbs, self._groups * _LIMBS), columns), dtype=np.int64)
        self._words = np.zeros((self._groups * _WORDS, columns), dtype=np.uint64)

    def write(self, digits: Digits) -> None:
        """Fill digits (count, parts, width) from the first `count` columns of `limbs` and `quotients`."""
        count = len(digits)
        carry: Integers | None = None
        for part in range(digits.shape[1]):
            limbs = self._carried[: self.limbs.shape[1]]
            np.copyto(limbs, self.limbs[part], casting="unsafe")
            if carry is not None:
                limbs[0] += carry
            _carry(limbs)
            quotient = self.quotients[part, 0]
            carry = np.floor(quotient).astype(np.int64)
            doubtful = np.flatnonzero(np.abs(quotient[:count] - np.rint(quotient[:count])) < self._doubt)
            if len(doubtful):
                self._settle(limbs, carry, doubtful)
            self._carried[self._used :] = 0
            _words_of_limbs(self._carried[: self._groups * _LIMBS], self._words)
            octets = np.ascontiguousarray(self._words[:, :count].T).view(np.uint8)
            digits[:, part] = octets[:, : self._width]

    def _settle(self, limbs: Integers, carry: Integers, columns: Integers) -> None:
        """Bring digits that may lie one N off into [0, N), and correct what is carried."""
        chosen = limbs[:, columns]
        below = chosen[-1] < 0
        chosen += self._modulus * below
        _carry(chosen)
        lowered = chosen - self._modulus
        _carry(lowered)
        above = lowered[-1] >= 0
        limbs[:, columns] = np.where(above, lowered, chosen)
        carry[columns] += above.astype(np.int64) - below


def check_digits(ring: Ring, digits: Digits, *, parts: int | None = None) -> None:
    """Refuse what is not canonical digits (count, parts, width) of this ring.

    Raises:
        InvalidInput: code ``bad_digits``.
    """
    parts = ring.parts if parts is None else parts
    shape = (len(digits), parts, ring.width) if digits.ndim else ()
    if digits.dtype != np.uint8 or digits.shape != shape:
        raise InvalidInput(
            f"digits must be bytes of shape (count, {parts}, {ring.width}), "
            f"not {digits.dtype} of {digits.shape}",
            code="bad_digits",
        )
    if not is_canonical(ring, digits):
        raise InvalidInput("a digit is not below the modulus", code="bad_digits")


def is_canonical(ring: Ring, digits: Digits) -> bool:
    """Whether every digit, the last axis of a uint8 array, is below N."""
    if digits.shape[-1] != ring.width or digits.dtype != np.uint8:
        return False
    modulus = np.frombuffer(ring.modulus.to_bytes(ring.width, "little"), dtype=np.uint8)
    rows = digits.reshape(-1, ring.width)
    undecided = rows[rows[:, -1] >= modulus[-1]]
    for octet in range(ring.width - 1, -1, -1):
        if not len(undecided):
            return True
        column = undecided[:, octet]
        if np.any(column > modulus[octet]):
            return False
        undecided = undecided[column == modulus[octet]]
    return not len(undecided)


def from_integers(ring: Ring, numbers: list[int]) -> Digits:
    """Digits (count, parts, width) of integers in [0, N^(s+1)): to exchange numbers with other libraries.

    Raises:
        InvalidInput: code ``bad_digits`` for an integer out of range.
    """
    body = bytearray()
    for number in numbers:
        for _ in range(ring.parts):
            number, digit = divmod(number, ring.modulus)
            body += digit.to_bytes(ring.width, "little")
        if number:
            raise InvalidInput("a number is not from 0 to N^(s+1) − 1", code="bad_digits")
    return np.frombuffer(bytes(body), dtype=np.uint8).reshape(len(numbers), ring.parts, ring.width)


def to_integers(ring: Ring, digits: Digits) -> list[int]:
    """The integers that digits (count, parts, width) stand for."""
    numbers = []
    for element in digits:
        number = 0
        for digit in element[::-1]:
            number = number * ring.modulus + int.from_bytes(digit.tobytes(), "little")
        numbers.append(number)
    return numbers


def _limbs_of_words(words: npt.NDArray[np.uint64], limbs: Integers) -> None:
    """(parts, groups·3, n) words to (parts, groups, 8, n) limbs."""
    parts, _, columns = words.shape
    low, middle, high = np.moveaxis(words.reshape(parts, -1, _WORDS, columns), 2, 0)
    out = np.moveaxis(limbs.view(np.uint64), 2, 0)
    mask = np.uint64(_MASK)
    for limb, (source, shift) in enumerate([(low, 0), (low, 24), (low, 48), (middle, 8), (middle, 32)]):
        np.right_shift(source, np.uint64(shift), out=out[limb])
    np.bitwise_or(out[2], middle << np.uint64(16), out=out[2])
    np.right_shift(middle, np.uint64(56), out=out[5])
    np.bitwise_or(out[5], high << np.uint64(8), out=out[5])
    np.right_shift(high, np.uint64(16), out=out[6])
    np.right_shift(high, np.uint64(40), out=out[7])
    np.bitwise_and(limbs.view(np.uint64), mask, out=limbs.view(np.uint64))


def _words_of_limbs(limbs: Integers, words: npt.NDArray[np.uint64]) -> None:
    """(groups·8, n) limbs in [0, 2^24) to (groups·3, n) words."""
    columns = limbs.shape[1]
    v = np.moveaxis(limbs.view(np.uint64).reshape(-1, _LIMBS, columns), 1, 0)
    low, middle, high = np.moveaxis(words.reshape(-1, _WORDS, columns), 1, 0)
    shift = [np.uint64(bits) for bits in range(64)]
    np.bitwise_or(v[0] | (v[1] << shift[24]), v[2] << shift[48], out=low)
    np.bitwise_or(
        (v[2] >> shift[16]) | (v[3] << shift[8]), (v[4] << shift[32]) | (v[5] << shift[56]), out=middle
    )
    np.bitwise_or((v[5] >> shift[8]) | (v[6] << shift[16]), v[7] << shift[40], out=high)


def _carry(limbs: Integers) -> None:
    """Bring all limbs but the last into [0, 2^24); the last keeps the sign."""
    for limb in range(len(limbs) - 1):
        limbs[limb + 1] += limbs[limb] >> LIMB_BITS
    limbs[:-1] &= _MASK


def _doubt(ring: Ring) -> float:
    """How far the quotient in `Kernel.write` may be off: k rounded products and sums, in units of B/N."""
    constants = ring.constants
    return 2.0**-52 * len(constants.primes_b) ** 2 * max(1.0, constants.b_over_n) + 2.0**-40
