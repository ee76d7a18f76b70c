"""Bounds in round numbers: what they tell of one holder's least and largest value is its magnitude only."""

from __future__ import annotations

from kapok.documents.columns import LARGEST_STEPS

__all__ = ["decades", "rounded", "rounded_up"]


def rounded_up(number: int) -> int:
    """The least of 1, 2, 5, 10, 20, 50, … that is not below a positive number."""
    power: int = 10 ** (len(str(number)) - 1)
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= number)


def _rounded_down(number: int) -> int:
    power: int = 10 ** (len(str(number)) - 1)
    return next(factor * power for factor in (5, 2, 1) if factor * power <= number)


def rounded(least: int, largest: int) -> tuple[int, int]:
    """Bounds around two numbers: zero, or 1, 2 or 5 times a power of ten.

    A range that begins at less than half of its end begins at zero. The bounds differ, whatever the numbers,
    unless nothing larger fits into a schema.
    """
    if least < 0 < largest:
        low, high = -rounded_up(-least), rounded_up(largest)
    elif largest <= 0 and least < 0:
        high, low = (-number for number in rounded(-largest, -least))
    else:
        low = _rounded_down(least) if least and 2 * least >= largest else 0
        high = rounded_up(max(largest, 1))
        low = 0 if low == high else low
    return max(low, -LARGEST_STEPS), min(high, LARGEST_STEPS)


def decades(first: int, last: int) -> tuple[int, int]:
    """The first year of the decade of one year, and the last of the other's, from 1 to 9999."""
    return max(first - first % 10, 1), last - last % 10 + 9
