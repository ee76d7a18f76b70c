"""Fixed-width N-adic digits in bytes, from and to limbs of 24 bits, for many columns at once.

A digit is little-endian bytes; eight limbs are three 64-bit words, so that both ways are a few shifts of
whole arrays. Limbs are centred for reading (2^23 taken off, which a last row of ones gives back through its
weight in `Constants.read_a`): that saves a bit of the range of float64.

What leaves is canonical, every digit in [0, N): the kernel writes each part less ⌊part/N⌋·N, the floor taken
in float64; where a quotient lies so close to an integer that it could be wrong by one, the digit itself is
compared with 0 and N.
"""

from __future__ import annotations

from itertools import pairwise

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
# Columns too many: rows of an even number of cache lines would get in each other's way in the cache.
_SPARE = 8
# Each word of a group: which limbs lie in it, and how far to the left.
_SHIFTS = (
    ((0, 0), (1, 24), (2, 48)),
    ((2, -16), (3, 8), (4, 32), (5, 56)),
    ((5, -8), (6, 16), (7, 40)),
)


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
        self._scratch = np.zeros((self._parts, self._groups, columns), dtype=np.uint64)
        self.limbs: Floats = np.ones((self._parts, self._count + 1, columns + _SPARE))[..., :columns]

    def read(self, digits: Digits) -> Floats:
        """The limbs of digits (count, parts, width), count up to `columns`; the rest stays as it was."""
        count = len(digits)
        self._padded[:, :count, : self._width] = digits.transpose(1, 0, 2)
        words = self._padded.view(np.uint64)
        np.copyto(self._words, words.transpose(0, 2, 1))
        _limbs_of_words(self._words, self._integers, self._scratch)
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
        self.limbs: Floats = np.zeros((ring.parts, constants.out_limbs, columns + _SPARE))[..., :columns]
        self.quotients: Floats = np.zeros((ring.parts, 1, columns))
        self._carried = np.zeros((max(constants.out_limbs, self._groups * _LIMBS), columns), dtype=np.int64)
        self._words = np.zeros((self._groups * _WORDS, columns), dtype=np.uint64)
        self._scratch = np.zeros((self._groups, columns), dtype=np.uint64)

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
            _words_of_limbs(self._carried[: self._groups * _LIMBS], self._words, self._scratch)
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


def _limbs_of_words(words: npt.NDArray[np.uint64], limbs: Integers, scratch: npt.NDArray[np.uint64]) -> None:
    """(parts, groups·3, n) words to (parts, groups, 8, n) limbs; scratch (parts, groups, n)."""
    parts, _, columns = words.shape
    out = np.moveaxis(limbs.view(np.uint64), 2, 0)
    filled = set()
    for word, shifts in zip(
        np.moveaxis(words.reshape(parts, -1, _WORDS, columns), 2, 0), _SHIFTS, strict=True
    ):
        for limb, shift in shifts:
            target = scratch if limb in filled else out[limb]
            shifted = np.right_shift if shift >= 0 else np.left_shift
            shifted(word, np.uint64(abs(shift)), out=target)
            if limb in filled:
                np.bitwise_or(out[limb], scratch, out=out[limb])
            filled.add(limb)
    np.bitwise_and(limbs, _MASK, out=limbs)


def _words_of_limbs(limbs: Integers, words: npt.NDArray[np.uint64], scratch: npt.NDArray[np.uint64]) -> None:
    """(groups·8, n) limbs in [0, 2^24) to (groups·3, n) words; scratch (groups, n)."""
    columns = limbs.shape[1]
    v = np.moveaxis(limbs.view(np.uint64).reshape(-1, _LIMBS, columns), 1, 0)
    for word, shifts in zip(np.moveaxis(words.reshape(-1, _WORDS, columns), 1, 0), _SHIFTS, strict=True):
        for place, (limb, shift) in enumerate(shifts):
            out = scratch if place else word
            shifted = np.left_shift if shift >= 0 else np.right_shift
            shifted(v[limb], np.uint64(abs(shift)), out=out)
            if place:
                np.bitwise_or(word, scratch, out=word)


def _carry(limbs: Integers) -> None:
    """Bring all limbs but the last into [0, 2^24); the last keeps the sign."""
    carried = np.empty_like(limbs[0])
    for limb, following in pairwise(limbs):
        np.right_shift(limb, LIMB_BITS, out=carried)
        np.add(following, carried, out=following)
    np.bitwise_and(limbs[:-1], _MASK, out=limbs[:-1])


def _doubt(ring: Ring) -> float:
    """How far the quotient in `Kernel.write` may be off: k rounded products and sums, in units of B/N."""
    constants = ring.constants
    return 2.0**-52 * len(constants.primes_b) ** 2 * max(1.0, constants.b_over_n) + 2.0**-40
