"""Masked words laid into the N-adic digits of plaintexts, with room for the carries of a sum.

A data word of b bits gets a slot of b + ⌈log₂ n⌉ bits, n the parties of the roster, so that n words add up
inside their slot. ⌊(|N| − 2)/slot⌋ slots fill a digit, the first word lowest; s digits make a plaintext.
The tag has a slot of its own width right after the last data word where it still fits into that digit, else
a digit of its own; digits that are left over in the last plaintext are zero:

    digit 0        word 0 | word 1 | … | word c−1
    digit last     word … | word … | tag |  zeros

Adding packed plaintexts never brings a digit to N: digits add without carries into each other, nothing is
divided by N on either way, and what the receiver decrypts is the integer sum of all slots. Each is then
reduced modulo 2^b (the tag modulo 2^tag_bits), as masks are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from kapok.errors import InvalidInput, SealBroken
from kapok.protocols.paillier.plaintexts import PlaintextVector
from kapok.protocols.paillier.public import LEAST_KEY_BITS, MOST_DEGREE, MOST_KEY_BITS
from kapok.protocols.words import MOST_BITS, WordVector

__all__ = ["MOST_PARTIES", "SlotLayout"]

MOST_PARTIES: Final = 256
_LIMB: Final = 64
# Digits of which limbs are made at once: a few megabytes, whatever the vector.
_BLOCK_DIGITS: Final = 4096
# From so many digits on degree 3 costs less than degree 1, the table included. Measured at 2048 and 3072
# bits, for each digit of 6,000: 0.24 and 0.57 ms instead of 0.24 and 0.71 to encrypt, 4.4 and 7.4 µs
# instead of 5.4 and 11.4 to add, 2.0 and 6.1 ms instead of 2.2 and 7.7 to decrypt, and a third fewer bytes;
# the new table takes 0.1 and 0.3 s longer. Degree 4 is no faster than degree 3.
_LONG_DIGITS: Final = 1024
_LONG_DEGREE: Final = 3

_Limbs = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class SlotLayout:
    """Where each word and the tag of a contribution lie in its plaintexts, the same for a whole roster.

    Attributes:
        key_bits: |N|, the size of the result key.
        words: Data words of a contribution, at least 1.
        word_bits: Width b of a data word, a multiple of 8 up to 256.
        tag_bits: Width of the tag, a multiple of 8 up to 256.
        parties: Members n of the roster, 1 to 256.
        degree: s, digits of a plaintext.

    Raises:
        InvalidInput: code ``bad_layout``.
    """

    key_bits: int
    words: int
    word_bits: int
    tag_bits: int
    parties: int
    degree: int = 1

    def __post_init__(self) -> None:
        if not LEAST_KEY_BITS <= self.key_bits <= MOST_KEY_BITS:
            raise _bad_layout(f"a key of {self.key_bits} bits")
        if self.words < 1:
            raise _bad_layout(f"{self.words} words")
        for bits in (self.word_bits, self.tag_bits):
            if bits % 8 or not 8 <= bits <= MOST_BITS:
                raise _bad_layout(f"a word of {bits} bits")
        if not 1 <= self.parties <= MOST_PARTIES:
            raise _bad_layout(f"{self.parties} parties")
        if not 1 <= self.degree <= MOST_DEGREE:
            raise _bad_layout(f"degree {self.degree}")

    @property
    def best_degree(self) -> int:
        """The degree for so many words: 1 for few digits, 3 for many."""
        return _LONG_DEGREE if self.digits >= _LONG_DIGITS else 1

    @property
    def carry_bits(self) -> int:
        """Extra bits of every slot, ⌈log₂ n⌉."""
        return (self.parties - 1).bit_length()

    @property
    def slot_bits(self) -> int:
        """Width of a data word's slot."""
        return self.word_bits + self.carry_bits

    @property
    def tag_slot_bits(self) -> int:
        """Width of the tag's slot."""
        return self.tag_bits + self.carry_bits

    @property
    def digit_bits(self) -> int:
        """Bits of a digit that may be used, |N| − 2: their sums stay below N."""
        return self.key_bits - 2

    @property
    def slots_per_digit(self) -> int:
        """Data words that fit into one digit."""
        return self.digit_bits // self.slot_bits

    @property
    def words_per_plaintext(self) -> int:
        """Data words that fit into one plaintext."""
        return self.slots_per_digit * self.degree

    @property
    def word_digits(self) -> int:
        """Digits that hold data words."""
        return -(-self.words // self.slots_per_digit)

    @property
    def tag_has_own_digit(self) -> bool:
        """Whether the tag does not fit after the last data word."""
        return self._tag_offset + self.tag_slot_bits > self.digit_bits

    @property
    def digits(self) -> int:
        """Digits that hold words or the tag."""
        return self.word_digits + self.tag_has_own_digit

    @property
    def plaintexts(self) -> int:
        """Plaintexts of a contribution, hence ciphertexts of a sealed vector."""
        return -(-self.digits // self.degree)

    def pack(self, words: WordVector, tag: int) -> PlaintextVector:
        """Lay the words and the tag of one party into `plaintexts` plaintexts.

        Raises:
            InvalidInput: code ``bad_words`` for a vector of another width or length, ``word_overflow`` for a
                tag that does not fit its width: before anything is encrypted or sent.
        """
        return self.pack_part(words, tag, first=0)

    def pack_part(self, words: WordVector, tag: int, *, first: int) -> PlaintextVector:
        """Lay a part of the words of one party into the plaintexts that they fill.

        Args:
            words: The words from number `first`·`words_per_plaintext`: whole plaintexts of them, or all that
                are left.
            tag: The tag, which goes in with the last words.
            first: Number of the first plaintext.

        Raises:
            InvalidInput: as `pack`.
        """
        begin = first * self.words_per_plaintext
        left = self.words - begin
        ends = words.count == left
        whole = 0 < words.count < left and words.count % self.words_per_plaintext == 0
        if words.bits != self.word_bits or not words.count or not (ends or whole):
            raise InvalidInput(
                f"{words.count} words of {words.bits} bits, from number {begin}, do not fit a layout of "
                f"{self.words} words of {self.word_bits} bits",
                code="bad_words",
            )
        count = self.plaintexts - first if ends else words.count // self.words_per_plaintext
        digits = np.zeros((count * self.degree, -(-self.key_bits // 8)), dtype=np.uint8)
        octets = np.frombuffer(words.to_bytes(), dtype=np.uint8).reshape(words.count, self.word_bits // 8)
        for rows, part in self._blocks(words.count):
            packed = self._packed(octets[part])
            digits[rows, : packed.shape[1]] = packed[:, : digits.shape[1]]
        if ends:
            self._place_tag(digits, first * self.degree, tag)
        return PlaintextVector(digits.reshape(count, self.degree, -1))

    def unpack(self, plaintexts: PlaintextVector) -> tuple[WordVector, int]:
        """Read words modulo 2^word_bits and tag modulo 2^tag_bits from the sum of packed contributions.

        Raises:
            SealBroken: the sum has another number of plaintexts, or bits where no slot lies.
        """
        width = -(-self.key_bits // 8)
        if plaintexts.digits.shape != (self.plaintexts, self.degree, width):
            raise SealBroken(f"the sum is not {self.plaintexts} plaintexts of degree {self.degree}")
        digits = plaintexts.digits.reshape(-1, width)
        last = int.from_bytes(digits[self.word_digits - 1].tobytes(), "little")
        tag = last >> self._tag_offset
        if self.tag_has_own_digit:
            own = int.from_bytes(digits[self.word_digits].tobytes(), "little")
            tag, beyond = own, tag
        else:
            beyond = 0
        full = digits[: self.word_digits - 1]
        if beyond or tag >> self.tag_slot_bits or digits[self.digits :].any() or self._has_bits_beyond(full):
            raise SealBroken("the sum has bits where no word lies")
        body = bytearray()
        for rows, _part in self._blocks(self.words):
            body += self._unpacked(digits[rows])
        words = WordVector.from_bytes(bytes(body[: self.words * self.word_bits // 8]), self.word_bits)
        return words, tag % (1 << self.tag_bits)

    @property
    def _tag_offset(self) -> int:
        """Bits that data words take in the last digit that holds any."""
        return (self.words - (self.word_digits - 1) * self.slots_per_digit) * self.slot_bits

    @property
    def _limbs(self) -> int:
        """64-bit limbs of a digit's slots."""
        return -(-self.slots_per_digit * self.slot_bits // _LIMB)

    def _blocks(self, words: int) -> Iterator[tuple[slice, slice]]:
        """Blocks of digits, and of the words in them."""
        slots = self.slots_per_digit
        for start in range(0, -(-words // slots), _BLOCK_DIGITS):
            stop = min(start + _BLOCK_DIGITS, -(-words // slots))
            yield slice(start, stop), slice(start * slots, stop * slots)

    def _shifts(self) -> Iterator[tuple[int, int, int, int]]:
        """For each 64-bit limb of each slot: slot, limb of the word, limb of the digit, shift to the left."""
        for slot in range(self.slots_per_digit):
            for limb in range(-(-self.word_bits // _LIMB)):
                yield slot, limb, *divmod(slot * self.slot_bits + limb * _LIMB, _LIMB)

    def _packed(self, octets: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Words of shape (k, word_bits/8), uint8 little-endian, to ⌈k/slots_per_digit⌉ rows of limbs."""
        slots, width = self.slots_per_digit, octets.shape[1]
        rows, word_limbs = -(-len(octets) // slots), -(-self.word_bits // _LIMB)
        padded = np.zeros((rows * slots, word_limbs * 8), dtype=np.uint8)
        padded[: len(octets), :width] = octets
        # One contiguous row for each limb of each slot: (slots, limbs, rows).
        words = padded.view("<u8").reshape(rows, slots, word_limbs).transpose(1, 2, 0).copy()
        digits: _Limbs = np.zeros((self._limbs + 1, rows), dtype="<u8")
        for slot, limb, place, shift in self._shifts():
            word = words[slot, limb]
            digits[place] |= word << np.uint64(shift)
            if shift:
                digits[place + 1] |= word >> np.uint64(_LIMB - shift)
        return np.ascontiguousarray(digits[: self._limbs].T).view(np.uint8)

    def _unpacked(self, octets: npt.NDArray[np.uint8]) -> bytes:
        """Digits of shape (rows, width), uint8 little-endian, to the words in all their slots."""
        slots, rows, word_limbs = self.slots_per_digit, len(octets), -(-self.word_bits // _LIMB)
        padded = np.zeros((rows, (self._limbs + 1) * 8), dtype=np.uint8)
        used = min(octets.shape[1], self._limbs * 8)
        padded[:, :used] = octets[:, :used]
        digits = np.ascontiguousarray(padded.view("<u8").T)
        words: _Limbs = np.empty((slots, word_limbs, rows), dtype="<u8")
        for slot, limb, place, shift in self._shifts():
            np.right_shift(digits[place], np.uint64(shift), out=words[slot, limb])
            if shift:
                words[slot, limb] |= digits[place + 1] << np.uint64(_LIMB - shift)
        whole = np.ascontiguousarray(words.transpose(2, 0, 1)).view(np.uint8)
        return whole.reshape(rows * slots, word_limbs * 8)[:, : self.word_bits // 8].tobytes()

    def _place_tag(self, digits: npt.NDArray[np.uint8], first: int, tag: int) -> None:
        """Write the tag into digits of which the first has number `first`."""
        if not 0 <= tag < 1 << self.tag_bits:
            raise InvalidInput(f"the tag does not fit {self.tag_bits} bits", code="word_overflow")
        row, offset = self.word_digits - 1 - first, self._tag_offset
        if self.tag_has_own_digit:
            row, offset = row + 1, 0
        value = int.from_bytes(digits[row].tobytes(), "little") | tag << offset
        digits[row] = np.frombuffer(value.to_bytes(digits.shape[1], "little"), dtype=np.uint8)

    def _has_bits_beyond(self, digits: npt.NDArray[np.uint8]) -> bool:
        """Whether a full digit has bits above its last slot."""
        byte, bit = divmod(self.slots_per_digit * self.slot_bits, 8)
        if byte == digits.shape[1]:
            return False
        return bool(digits[:, byte + 1 :].any()) or bool((digits[:, byte] >> np.uint8(bit)).any())


def _bad_layout(what: str) -> InvalidInput:
    return InvalidInput(f"words cannot be packed for {what}", code="bad_layout")
