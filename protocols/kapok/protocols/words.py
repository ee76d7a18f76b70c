"""Vectors of fixed-width words: what a contribution, a mask and a sum are made of.

A word is an integer modulo 2^b, b a multiple of 8 up to 256, read as unsigned or, by two's complement, as
signed. A vector keeps its words as contiguous little-endian bytes, the form in which they travel; sums and
differences work on whole arrays (`kapok.protocols.word_sum`), so that no word is ever a Python integer on the
way.

A vector can be a holder's contribution in clear: it does not print its words and cannot be pickled.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from kapok.errors import InvalidInput
from kapok.errors.secrecy import NeverPickled
from kapok.protocols.word_sum import NATIVE_OCTETS, WordSum

__all__ = ["MOST_BITS", "WordVector"]

MOST_BITS: Final = 256
"""Of a word of a vector; those of a sum are narrower, for its tag's word is wider (`secure_sum.params`)."""
_INT64_BITS: Final = 64
_INT64_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class WordVector(NeverPickled):
    """A vector of `count` words of `bits` bits each, arithmetic modulo 2^bits.

    Attributes:
        bits: Width b of a word: a multiple of 8, 8 to 256.
        count: Number of words, 0 or more.
        body: The words, little-endian, one after the other: count·bits/8 bytes.

    Raises:
        InvalidInput: code ``bad_words`` where width, count and length do not fit together.
    """

    bits: int
    count: int
    body: bytes = field(repr=False)

    def __post_init__(self) -> None:
        _check_width(self.bits)
        if self.count < 0 or len(self.body) != self.count * (self.bits // 8):
            raise InvalidInput(
                f"{self.count} words of {self.bits} bits do not fit {len(self.body)} bytes", code="bad_words"
            )

    @classmethod
    def zeros(cls, count: int, bits: int) -> Self:
        """A vector of `count` words that are all zero."""
        _check_width(bits)
        return cls(bits, count, bytes(max(count, 0) * (bits // 8)))

    @classmethod
    def from_bytes(cls, body: bytes, bits: int) -> Self:
        """Read words of `bits` bits from contiguous little-endian bytes.

        Raises:
            InvalidInput: code ``bad_words`` for a width that is not allowed or a part of a word at the end.
        """
        _check_width(bits)
        count, rest = divmod(len(body), bits // 8)
        if rest:
            raise InvalidInput(f"{len(body)} bytes are no whole number of {bits}-bit words", code="bad_words")
        return cls(bits, count, bytes(body))

    @classmethod
    def from_integers(cls, values: Iterable[int], bits: int, *, signed: bool = True) -> Self:
        """Make words from integers, by two's complement where they are signed.

        Args:
            values: Integers in [−2^(bits−1), 2^(bits−1)), or in [0, 2^bits) with ``signed=False``.
            bits: Width of a word.
            signed: Which of the two ranges holds.

        Raises:
            InvalidInput: code ``word_overflow`` for a value outside the range, ``bad_words`` for no integer.
        """
        _check_width(bits)
        octets = bits // 8
        try:
            words = [operator.index(value).to_bytes(octets, "little", signed=signed) for value in values]
        except OverflowError:
            raise _overflow(bits, signed=signed) from None
        except TypeError:
            raise InvalidInput("a word must be an integer", code="bad_words") from None
        return cls(bits, len(words), b"".join(words))

    @classmethod
    def from_int64(cls, values: npt.NDArray[np.int64], bits: int) -> Self:
        """Make words from signed 64-bit integers, by two's complement.

        Args:
            values: Shape (count,), dtype int64.
            bits: Width of a word.

        Raises:
            InvalidInput: code ``word_overflow`` for a value outside [−2^(bits−1), 2^(bits−1)), ``bad_words``
                for another shape or dtype.
        """
        _check_width(bits)
        if values.ndim != 1 or values.dtype != np.int64:
            raise InvalidInput("words are made from a one-dimensional array of int64", code="bad_words")
        if bits < 64 and values.size:
            bound = 1 << (bits - 1)
            if int(values.min()) < -bound or int(values.max()) >= bound:
                raise _overflow(bits, signed=True)
        octets = bits // 8
        if octets in NATIVE_OCTETS:
            return cls(bits, values.size, values.astype(f"<i{octets}").tobytes())
        low = np.ascontiguousarray(values, dtype="<i8").view(np.uint8).reshape(values.size, _INT64_BYTES)
        words = np.empty((values.size, octets), dtype=np.uint8)
        words[:, :_INT64_BYTES] = low[:, :octets]
        words[:, _INT64_BYTES:] = np.where(values < 0, 0xFF, 0).astype(np.uint8)[:, None]
        return cls(bits, values.size, words.tobytes())

    def to_bytes(self) -> bytes:
        """The words as contiguous little-endian bytes."""
        return self.body

    def to_integers(self, *, signed: bool = True) -> list[int]:
        """The words as Python integers, by two's complement unless ``signed=False``."""
        if self.bits <= _INT64_BITS - (not signed):
            words = self.to_int64() if signed else self.to_int64() & ((1 << self.bits) - 1)
            integers: list[int] = words.tolist()
            return integers
        octets = self.bits // 8
        return [
            int.from_bytes(self.body[start : start + octets], "little", signed=signed)
            for start in range(0, len(self.body), octets)
        ]

    def to_int64(self) -> npt.NDArray[np.int64]:
        """The words as signed 64-bit integers, shape (count,), by two's complement.

        Raises:
            InvalidInput: code ``word_overflow`` where words are wider than 64 bits.
        """
        octets = self.bits // 8
        if octets > _INT64_BYTES:
            raise InvalidInput(
                f"words of {self.bits} bits do not fit 64-bit integers",
                code="word_overflow",
                remedy="read them as Python integers",
            )
        if octets in NATIVE_OCTETS:
            return np.frombuffer(self.body, dtype=f"<i{octets}").astype(np.int64)
        wide = np.zeros((self.count, _INT64_BYTES), dtype=np.uint8)
        wide[:, _INT64_BYTES - octets :] = np.frombuffer(self.body, dtype=np.uint8).reshape(-1, octets)
        # An arithmetic shift brings the words down from the highest bytes, sign and all.
        return wide.view("<i8")[:, 0] >> (_INT64_BITS - self.bits)

    def blocks(self, words: int) -> Iterator[memoryview]:
        """The words as bytes, in order, in blocks of so many words and a last one of the rest; no copies."""
        body, step = memoryview(self.body), words * (self.bits // 8)
        return (body[start : start + step] for start in range(0, len(body), step))

    def add(self, *others: WordVector) -> WordVector:
        """The sum of this vector and all others, word by word modulo 2^bits.

        Raises:
            InvalidInput: code ``bad_words`` where widths or counts differ.
        """
        return self.accumulate(plus=others)

    def subtract(self, *others: WordVector) -> WordVector:
        """This vector less all others, word by word modulo 2^bits.

        Raises:
            InvalidInput: code ``bad_words`` where widths or counts differ.
        """
        return self.accumulate(minus=others)

    def accumulate(self, *, plus: Iterable[WordVector] = (), minus: Iterable[WordVector] = ()) -> WordVector:
        """This vector with all of `plus` added and all of `minus` taken away.

        Words are reduced modulo 2^bits. Both are read one vector at a time.

        Raises:
            InvalidInput: code ``bad_words`` where widths or counts differ.
        """
        total = WordSum(memoryview(self.body), self.bits // 8)
        for vectors, gather in ((plus, total.add), (minus, total.subtract)):
            for vector in vectors:
                self._check_like(vector)
                gather(memoryview(vector.body))
        return WordVector(self.bits, self.count, total.to_bytes())

    def __len__(self) -> int:
        return self.count

    def _check_like(self, other: WordVector) -> None:
        if other.bits != self.bits or other.count != self.count:
            raise InvalidInput(
                f"{self.count} words of {self.bits} bits cannot be combined with "
                f"{other.count} words of {other.bits} bits",
                code="bad_words",
            )


def _check_width(bits: int) -> None:
    if bits % 8 or not 8 <= bits <= MOST_BITS:
        raise InvalidInput(
            f"a word of {bits} bits is not allowed: a multiple of 8, 8 to {MOST_BITS}", code="bad_words"
        )


def _overflow(bits: int, *, signed: bool) -> InvalidInput:
    kind = "signed" if signed else "unsigned"
    return InvalidInput(
        f"a value does not fit a {kind} word of {bits} bits",
        code="word_overflow",
        remedy="declare wider bounds in the dataset's schema",
    )
