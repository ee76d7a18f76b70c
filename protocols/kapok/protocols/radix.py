"""Python integers as N-adic digits in bytes, and back: for tiny batches, keys, and the exchange with others.

number = d₀ + d₁·N + … ─▶ d₀ d₁ …, each little-endian in `width` bytes, one number after the other
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["digits_in", "read_numbers", "write_numbers"]


def write_numbers(numbers: Iterable[int], modulus: int, parts: int, width: int) -> bytes:
    """The `parts` digits of every number.

    Args:
        numbers: Integers in [0, N^parts).
        modulus: N, of at most `width` bytes.
        parts: Digits of a number.
        width: Bytes of a digit.

    Raises:
        OverflowError: a number is out of range.
    """
    body = bytearray()
    for number in numbers:
        rest = number
        for _ in range(parts):
            rest, digit = divmod(rest, modulus)
            body += digit.to_bytes(width, "little")
        if rest:
            raise OverflowError("a number has more digits than there is room for")
    return bytes(body)


def read_numbers(body: bytes, modulus: int, parts: int, width: int) -> list[int]:
    """The numbers whose digits are in `body`; digits need not be below N."""
    digits = digits_in(body, width)
    numbers = digits[parts - 1 :: parts]
    for part in range(parts - 2, -1, -1):
        numbers = [high * modulus + low for high, low in zip(numbers, digits[part::parts], strict=True)]
    return numbers


def digits_in(body: bytes, width: int) -> list[int]:
    """Every digit by itself."""
    return [int.from_bytes(body[start : start + width], "little") for start in range(0, len(body), width)]
