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
from kapok.protocols.arithmetic.bases import GROUP, LIMB_BITS, Floats, Integers
from kapok.protocols.arithmetic.ring import Ring
from kapok.protocols.radix import read_numbers, write_numbers

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
Words = npt.NDArray[np.uint64]

_MASK = (1 << LIMB_BITS) - 1
_WORDS = 3  # of 64 bits in a group of limbs
_WORD_BYTES = 8
# Columns too many: rows of an even number of cache lines would get in each other's way in the cache.
_SPARE = 8
# Each word of a group: which limbs lie in it, and how far to the left.
_SHIFTS = (
    ((0, 0), (1, 24), (2, 48)),
    ((2, -16), (3, 8), (4, 32), (5, 56)),
    ((5, -8), (6, 16), (7, 40)),
)
# The float64 2^52 + v for v below 2^52 is the integer v with these bits set.
_FLOAT_BITS = np.float64(2.0**52).view(np.uint64)
_FLOAT_CENTRE = 2.0**52 + 2.0 ** (LIMB_BITS - 1)


class LimbReader:
    """Bytes of digits to limbs, for up to `columns` elements at a time.

    Attributes:
        limbs: (parts, 8·groups+1, columns): what was read last, limbs in the rows that `Constants` says.
    """

    def __init__(self, ring: Ring, columns: int) -> None:
        parts, groups = ring.parts, ring.constants.limb_groups
        self._width = ring.width
        self._padded = np.zeros((parts, columns, groups * _WORDS * _WORD_BYTES), dtype=np.uint8)
        self._words = np.zeros((parts, _WORDS, groups, columns), dtype=np.uint64)
        self._scratch = np.zeros((parts, groups, columns), dtype=np.uint64)
        self.limbs: Floats = np.ones((parts, GROUP * groups + 1, columns))

    def read(self, digits: Digits) -> Floats:
        """The limbs of digits (count, parts, width), count up to `columns`; the rest stays as it was."""
        parts, _, groups, columns = self._words.shape
        self._padded[:, : len(digits), : self._width] = digits.transpose(1, 0, 2)
        words = self._padded.view(np.uint64).reshape(parts, columns, groups, _WORDS)
        np.copyto(self._words, words.transpose(0, 3, 2, 1))
        floats = self.limbs[:, :-1]
        limbs = floats.view(np.uint64)
        _limbs_of_words(self._words, limbs.reshape(parts, GROUP, groups, columns), self._scratch)
        np.bitwise_and(limbs, np.uint64(_MASK), out=limbs)
        np.bitwise_or(limbs, _FLOAT_BITS, out=limbs)
        np.subtract(floats, _FLOAT_CENTRE, out=floats)
        return self.limbs


class LimbWriter:
    """Limbs that a kernel wrote to canonical digits, for up to `columns` elements at a time.

    Attributes:
        limbs: (parts, out_limbs, columns), for `Kernel.write`.
        quotients: (parts, 1, columns), for `Kernel.write`.
    """

    def __init__(self, ring: Ring, columns: int) -> None:
        constants = ring.constants
        groups = constants.limb_groups
        self._width = ring.width
        self._modulus = constants.modulus_limbs[:, None]
        self._rows = constants.limb_rows
        self._doubt = _doubt(ring)
        self.limbs: Floats = np.zeros((ring.parts, constants.out_limbs, columns + _SPARE))[..., :columns]
        self.quotients: Floats = np.zeros((ring.parts, 1, columns))
        self._carried = np.zeros((constants.out_limbs, columns), dtype=np.int64)
        self._grouped = self._carried[: GROUP * groups].view(np.uint64).reshape(GROUP, groups, columns)
        self._words = np.zeros((_WORDS, groups, columns), dtype=np.uint64)
        self._scratch = np.zeros((groups, columns), dtype=np.uint64)

    def write(self, digits: Digits) -> None:
        """Fill digits (count, parts, width) from the first `count` columns of `limbs` and `quotients`."""
        count = len(digits)
        limbs = self._carried
        carry: Integers | None = None
        for part in range(digits.shape[1]):
            np.copyto(limbs, self.limbs[part], casting="unsafe")
            if carry is not None:
                limbs[0] += carry
            _carry(limbs, self._rows)
            quotient = self.quotients[part, 0]
            carry = np.floor(quotient).astype(np.int64)
            doubtful = np.flatnonzero(np.abs(quotient[:count] - np.rint(quotient[:count])) < self._doubt)
            if len(doubtful):
                self._settle(limbs, carry, doubtful)
            _words_of_limbs(self._grouped, self._words, self._scratch)
            octets = self._words[:, :, :count].transpose(2, 1, 0).reshape(count, -1).view(np.uint8)
            digits[:, part] = octets[:, : self._width]

    def _settle(self, limbs: Integers, carry: Integers, columns: Integers) -> None:
        """Bring digits that may lie one N off into [0, N), and correct what is carried."""
        highest = self._rows[-1]
        chosen = limbs[:, columns]
        below = chosen[highest] < 0
        chosen += self._modulus * below
        _carry(chosen, self._rows)
        lowered = chosen - self._modulus
        _carry(lowered, self._rows)
        above = lowered[highest] >= 0
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
    try:
        body = write_numbers(numbers, ring.modulus, ring.parts, ring.width)
    except OverflowError:
        raise InvalidInput("a number is not from 0 to N^(s+1) − 1", code="bad_digits") from None
    return np.frombuffer(body, dtype=np.uint8).reshape(len(numbers), ring.parts, ring.width)


def to_integers(ring: Ring, digits: Digits) -> list[int]:
    """The integers that digits (count, parts, width) stand for."""
    return read_numbers(digits.tobytes(), ring.modulus, digits.shape[1], ring.width)


def _limbs_of_words(words: Words, limbs: Words, scratch: Words) -> None:
    """(parts, 3, groups, n) words to (parts, 8, groups, n) limbs, still with other bits above them."""
    filled = set()
    for word, shifts in enumerate(_SHIFTS):
        for limb, shift in shifts:
            target = scratch if limb in filled else limbs[:, limb]
            shifted = np.right_shift if shift >= 0 else np.left_shift
            shifted(words[:, word], np.uint64(abs(shift)), out=target)
            if limb in filled:
                np.bitwise_or(limbs[:, limb], scratch, out=limbs[:, limb])
            filled.add(limb)


def _words_of_limbs(limbs: Words, words: Words, scratch: Words) -> None:
    """(8, groups, n) limbs in [0, 2^24) to (3, groups, n) words; scratch (groups, n)."""
    for word, shifts in zip(words, _SHIFTS, strict=True):
        for place, (limb, shift) in enumerate(shifts):
            shifted = np.left_shift if shift >= 0 else np.right_shift
            shifted(limbs[limb], np.uint64(abs(shift)), out=scratch if place else word)
            if place:
                np.bitwise_or(word, scratch, out=word)


def _carry(limbs: Integers, rows: list[int]) -> None:
    """Bring all limbs but the highest into [0, 2^24), lowest row first; the highest keeps the sign."""
    carried = np.empty_like(limbs[0])
    for row, following in pairwise(rows):
        np.right_shift(limbs[row], LIMB_BITS, out=carried)
        np.add(limbs[following], carried, out=limbs[following])
    highest = limbs[rows[-1]].copy()
    np.bitwise_and(limbs, _MASK, out=limbs)
    limbs[rows[-1]] = highest


def _doubt(ring: Ring) -> float:
    """How far the quotient in `Kernel.write` may be off: k rounded products and sums, in units of B/N."""
    constants = ring.constants
    return 2.0**-52 * len(constants.primes_b) ** 2 * max(1.0, constants.b_over_n) + 2.0**-40
