"""Masked words laid into plaintexts, with room for the carries of a sum.

A data word of b bits gets a slot of b + ⌈log₂ n⌉ bits, n the parties of the roster, so that n words add up
inside their slot. ⌊(|N| − 2)/slot⌋ slots fill a plaintext, the first word lowest. The tag has a slot of its
own width right after the last data word where it still fits into that plaintext, else a plaintext of its own:

    plaintext 0        word 0 | word 1 | … | word c−1
    plaintext last     word … | word … | tag |  zeros

Adding packed plaintexts never reaches N, so that what the receiver decrypts is the integer sum of all slots;
each is then reduced modulo 2^b (the tag modulo 2^tag_bits), as masks are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from kapok.errors import InvalidInput, SealBroken
from kapok.protocols.paillier.public import LEAST_KEY_BITS, MOST_KEY_BITS
from kapok.protocols.words import MOST_WORD_BITS, WordVector

__all__ = ["MOST_PARTIES", "SlotLayout"]

MOST_PARTIES: Final = 256
# Bits are spread to one byte each while they are moved: a block of plaintexts at a time bounds that.
_BLOCK_PLAINTEXTS: Final = 256


@dataclass(frozen=True, slots=True)
class SlotLayout:
    """Where each word and the tag of a contribution lie in its plaintexts, the same for a whole roster.

    Attributes:
        key_bits: |N|, the size of the result key.
        words: Data words of a contribution, at least 1.
        word_bits: Width b of a data word, a multiple of 8 up to 256.
        tag_bits: Width of the tag, a multiple of 8 up to 256.
        parties: Members n of the roster, 1 to 256.

    Raises:
        InvalidInput: code ``bad_layout``.
    """

    key_bits: int
    words: int
    word_bits: int
    tag_bits: int
    parties: int

    def __post_init__(self) -> None:
        if not LEAST_KEY_BITS <= self.key_bits <= MOST_KEY_BITS:
            raise _bad_layout(f"a key of {self.key_bits} bits")
        if self.words < 1:
            raise _bad_layout(f"{self.words} words")
        for bits in (self.word_bits, self.tag_bits):
            if bits % 8 or not 8 <= bits <= MOST_WORD_BITS:
                raise _bad_layout(f"a word of {bits} bits")
        if not 1 <= self.parties <= MOST_PARTIES:
            raise _bad_layout(f"{self.parties} parties")

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
    def plaintext_bits(self) -> int:
        """Bits of a plaintext that may be used, |N| − 2: their sums stay below N."""
        return self.key_bits - 2

    @property
    def slots_per_plaintext(self) -> int:
        """Data words that fit into one plaintext."""
        return self.plaintext_bits // self.slot_bits

    @property
    def word_plaintexts(self) -> int:
        """Plaintexts that hold data words."""
        return -(-self.words // self.slots_per_plaintext)

    @property
    def tag_has_own_plaintext(self) -> bool:
        """Whether the tag does not fit after the last data word."""
        return self._tag_offset + self.tag_slot_bits > self.plaintext_bits

    @property
    def plaintexts(self) -> int:
        """Plaintexts of a contribution, hence ciphertexts of a sealed vector."""
        return self.word_plaintexts + self.tag_has_own_plaintext

    def pack(self, words: WordVector, tag: int) -> list[int]:
        """Lay the words and the tag of one party into `plaintexts` integers below 2^(|N|−2).

        Raises:
            InvalidInput: code ``bad_words`` for a vector of another width or length, ``word_overflow`` for a
                tag that does not fit its width: before anything is encrypted or sent.
        """
        if words.bits != self.word_bits or words.count != self.words:
            raise InvalidInput(
                f"{words.count} words of {words.bits} bits do not fit a layout of {self.words} words "
                f"of {self.word_bits} bits",
                code="bad_words",
            )
        if not 0 <= tag < 1 << self.tag_bits:
            raise InvalidInput(f"the tag does not fit {self.tag_bits} bits", code="word_overflow")
        octets = np.frombuffer(words.to_bytes(), dtype=np.uint8).reshape(self.words, self.word_bits // 8)
        plaintexts = [plaintext for block in self._blocks() for plaintext in self._packed(octets[block])]
        if self.tag_has_own_plaintext:
            return [*plaintexts, tag]
        plaintexts[-1] |= tag << self._tag_offset
        return plaintexts

    def unpack(self, plaintexts: Sequence[int]) -> tuple[WordVector, int]:
        """Read words modulo 2^word_bits and tag modulo 2^tag_bits from the sum of packed contributions.

        Raises:
            SealBroken: the sum has another number of plaintexts, or bits where no slot lies.
        """
        if len(plaintexts) != self.plaintexts:
            raise SealBroken(f"the sum has {len(plaintexts)} plaintexts instead of {self.plaintexts}")
        *full, last = plaintexts[: self.word_plaintexts]
        if self.tag_has_own_plaintext:
            tag = plaintexts[-1]
        else:
            tag, last = last >> self._tag_offset, last & ((1 << self._tag_offset) - 1)
        full_bits = self.slots_per_plaintext * self.slot_bits
        if (
            any(not 0 <= plaintext < 1 << full_bits for plaintext in full)
            or not 0 <= last < 1 << self._tag_offset
            or not 0 <= tag < 1 << self.tag_slot_bits
        ):
            raise SealBroken("the sum has bits where no word lies")
        rows = [*full, last]
        step = _BLOCK_PLAINTEXTS
        body = b"".join(self._unpacked(rows[start : start + step]) for start in range(0, len(rows), step))
        words = WordVector.from_bytes(body[: self.words * self.word_bits // 8], self.word_bits)
        return words, tag % (1 << self.tag_bits)

    @property
    def _tag_offset(self) -> int:
        """Bits that data words take in the last plaintext that holds any."""
        return (self.words - (self.word_plaintexts - 1) * self.slots_per_plaintext) * self.slot_bits

    def _blocks(self) -> Iterator[slice]:
        step = _BLOCK_PLAINTEXTS * self.slots_per_plaintext
        return (slice(start, start + step) for start in range(0, self.words, step))

    def _packed(self, octets: npt.NDArray[np.uint8]) -> list[int]:
        """Words of shape (k, word_bits/8), uint8 little-endian, to ⌈k/slots_per_plaintext⌉ integers."""
        rows = -(-len(octets) // self.slots_per_plaintext)
        slots = np.zeros((rows * self.slots_per_plaintext, self.slot_bits), dtype=np.uint8)
        slots[: len(octets), : self.word_bits] = np.unpackbits(octets, axis=1, bitorder="little")
        packed = np.packbits(slots.reshape(rows, -1), axis=1, bitorder="little")
        return [int.from_bytes(row.tobytes(), "little") for row in packed]

    def _unpacked(self, plaintexts: Sequence[int]) -> bytes:
        """Integers below 2^(slots_per_plaintext·slot_bits) to the words in all their slots."""
        used = self.slots_per_plaintext * self.slot_bits
        width = -(-used // 8)
        joined = b"".join(plaintext.to_bytes(width, "little") for plaintext in plaintexts)
        octets = np.frombuffer(joined, dtype=np.uint8).reshape(len(plaintexts), width)
        bits = np.unpackbits(octets, axis=1, count=used, bitorder="little")
        words = bits.reshape(-1, self.slot_bits)[:, : self.word_bits]
        return np.packbits(words, axis=1, bitorder="little").tobytes()


def _bad_layout(what: str) -> InvalidInput:
    return InvalidInput(f"words cannot be packed for {what}", code="bad_layout")
