"""How wide the words of a question are: as wide as its largest sum needs, with room to hide in.

Source: design page "Suppression happens inside the mask".
"""

from __future__ import annotations

from typing import Final

from kapok.protocols.secure_sum.params import MOST_MEMBERS

__all__ = ["HIDING_BITS", "random_bits", "word_bits"]

HIDING_BITS: Final = 40


def random_bits(bound: int) -> int:
    """W = ⌈log₂(256·V)⌉ + 40, V the bound: words that stand for a suppressed cell are uniform below 2^w."""
    return (MOST_MEMBERS * bound - 1).bit_length() + HIDING_BITS


def word_bits(bound: int) -> int:
    """b, the least multiple of 8 with b ≥ w + 9: 256 random words, read as signed, never wrap."""
    return -(-(random_bits(bound) + 9) // 8) * 8
