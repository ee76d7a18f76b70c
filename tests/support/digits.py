"""Plaintext digits as integers, and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kapok.protocols.paillier.packing import SlotLayout
from kapok.protocols.paillier.plaintexts import PlaintextVector

__all__ = ["digits_of", "with_digits"]


def digits_of(plaintexts: PlaintextVector) -> list[int]:
    """Every digit of every plaintext, in order."""
    width = plaintexts.digits.shape[2]
    body = plaintexts.digits.tobytes()
    return [int.from_bytes(body[start : start + width], "little") for start in range(0, len(body), width)]


def with_digits(layout: SlotLayout, digits: Sequence[int]) -> PlaintextVector:
    """Plaintexts of a layout's degree with these digits."""
    width = -(-layout.key_bits // 8)
    body = b"".join(digit.to_bytes(width, "little") for digit in digits)
    return PlaintextVector(np.frombuffer(body, dtype=np.uint8).reshape(-1, layout.degree, width))
