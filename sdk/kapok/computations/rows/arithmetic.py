"""Arithmetic of terms: exact in steps and scales, rounded where a quotient has no end, in one defined way."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import ceil, floor
from typing import Final, Literal

from kapok.computations.language.hints import refuse
from kapok.computations.rows.operations import Choice, Code, Fact, Operation, Whole
from kapok.computations.rows.terms import (
    INT64,
    Term,
    aligned,
    bounded,
    constant,
    mismatch,
    too_large,
    whole,
)

__all__ = [
    "FIXED_DECIMALS",
    "absolute",
    "add",
    "decimals_that_fit",
    "divide",
    "extreme",
    "multiply",
    "negate",
    "number",
    "of_boolean",
    "quotient",
    "remainder",
    "rounded",
    "sign",
    "subtract",
    "to_places",
    "whole_number",
]

FIXED_DECIMALS: Final = 12
"""Decimals of what cannot be exact: quotients of two terms, roots, logarithms. Fewer if need be."""

_LARGEST_WIDE: Final = 2**126
_MOST_ROUNDING: Final = 18

Mode = Literal["round", "floor", "ceil", "trunc"]


def number(what: str, term: Term) -> Term:
    """The term, if it is a number.

    Raises:
        InvalidInput: ``type_mismatch``.
    """
    if term.kind != "number":
        raise mismatch(what, term, "numbers")
    return term


def negate(term: Term) -> Term:
    """-x."""
    if isinstance(term.code, Whole):
        return constant(-(term.low * term.scale), term.kind)
    values = None if term.values is None else tuple(-int(value) for value in term.values)
    code = Operation("neg", (term.code,))
    return replace(term, code=code, low=-term.high, high=-term.low, values=values, column=None)


def add(left: Term, right: Term) -> Term:
    """X + y, in the largest steps that fit both.

    Raises:
        InvalidInput: ``number_too_large``.
    """
    if left.number is not None and right.number is not None:
        return constant(left.number + right.number)
    for nothing, other in ((left, right), (right, left)):
        if nothing.number == 0:
            return replace(other, column=None)
    one, other = aligned(left, right)
    found = whole(
        Operation("+", (one.code, other.code)),
        one.low + other.low,
        one.high + other.high,
        one,
        other,
        scale=one.scale,
    )
    for changed, by in ((one, other), (other, one)):
        if changed.values is not None and isinstance(by.code, Whole):
            return replace(found, values=tuple(int(value) + by.low for value in changed.values))
    return found


def subtract(left: Term, right: Term) -> Term:
    """X - y."""
    if left.number is not None and right.number is not None:
        return constant(left.number - right.number)
    if right.number is not None:
        return add(left, negate(right))
    one, other = aligned(left, right)
    return whole(
        Operation("-", (one.code, other.code)),
        one.low - other.high,
        one.high - other.low,
        one,
        other,
        scale=one.scale,
    )


def multiply(left: Term, right: Term) -> Term:
    """X · y; a constant goes into the scale.

    Raises:
        InvalidInput: ``number_too_large``.
    """
    if left.number is not None:
        left, right = right, left
    if right.number is not None:
        return _times(left, right.number)
    corners = [a * b for a in (left.low, left.high) for b in (right.low, right.high)]
    code = Operation("*", (left.code, right.code))
    return whole(code, min(corners), max(corners), left, right, scale=left.scale * right.scale)


def _times(term: Term, factor: Fraction) -> Term:
    if term.number is not None:
        return constant(term.number * factor)
    if factor == 0:
        return replace(whole(Operation("*", (term.code, Whole(0))), 0, 0, term), values=(0,))
    turned = negate(term) if factor < 0 else term
    return bounded(replace(turned, scale=term.scale * abs(factor), column=None))


def divide(left: Term, right: Term) -> Term:
    """X / y: exact by a constant, else rounded to fixed point, and unknown where y is zero.

    Raises:
        InvalidInput: ``number_too_large``.
    """
    if right.number is not None:
        if right.number == 0:
            raise refuse("a question cannot divide by zero", "leave it out", "type_mismatch")
        return _times(left, 1 / right.number)
    smallest = min((abs(end) for end in (right.low, right.high)), default=0)
    if right.low <= 0 <= right.high:
        smallest = 1
    largest = max(abs(left.low), abs(left.high)) * left.scale / (right.scale * smallest)
    decimals = decimals_that_fit(largest)
    ratio = left.scale / right.scale * 10**decimals
    return replace(
        quotient(left, right, ratio, "round"),
        scale=Fraction(1, 10**decimals),
        nullable=_may_fail(left, right),
    )


def _may_fail(left: Term, right: Term) -> bool:
    return left.nullable or right.nullable or right.low <= 0 <= right.high


def decimals_that_fit(largest: Fraction) -> int:
    """How many decimals a value of at most that magnitude has in fixed point.

    Raises:
        InvalidInput: ``number_too_large`` when it does not fit without any.
    """
    for decimals in range(FIXED_DECIMALS, -1, -1):
        if largest * 10**decimals + 1 <= INT64:
            return decimals
    raise too_large()


def quotient(top: Term, bottom: Term | None, ratio: Fraction, mode: Mode) -> Term:
    """Whole number ``top · ratio / bottom`` of the steps of both, rounded (halves away from zero) or cut.

    Args:
        top: Its steps are divided.
        bottom: By the steps of this, one if None; null where they are zero.
        ratio: Positive.
        mode: How a fraction is treated; with a `bottom` only ``round``.

    Raises:
        InvalidInput: ``number_too_large``.
    """
    ends = [top.low * ratio, top.high * ratio]
    if bottom is not None:
        if bottom.low <= 0 <= bottom.high:
            ends = [-max(map(abs, ends)), max(map(abs, ends))]
        else:
            ends = [end / divisor for end in ends for divisor in (bottom.low, bottom.high)]
    low, high = (rounded(end, mode) for end in (min(ends), max(ends)))
    parts = (top,) if bottom is None else (top, bottom)
    if bottom is None and ratio.denominator == 1:
        code: Code = top.code if ratio == 1 else Operation("*", (top.code, Whole(ratio.numerator)))
        return whole(code, low, high, top)
    widest = 2 * max(abs(top.low), abs(top.high)) * ratio.numerator
    divisor_widest = (
        2 * ratio.denominator * (1 if bottom is None else max(abs(bottom.low), abs(bottom.high), 1))
    )
    bound = widest + 2 * divisor_widest
    if bound > _LARGEST_WIDE:
        raise too_large()
    wide = bound > INT64
    upper = _product(_wide(top.code, wide=wide), ratio.numerator)
    lower = _product(Whole(1) if bottom is None else _wide(bottom.code, wide=wide), ratio.denominator)
    code = _cut(upper, lower, top, bottom is None, mode, low if bottom is None else 0, wide=wide)
    if wide:
        code = Operation("narrow", (code,))
    return whole(code, low, high, *parts)


def _wide(code: Code, *, wide: bool) -> Code:
    return Operation("wide", (code,)) if wide else code


def _product(code: Code, factor: int) -> Code:
    if isinstance(code, Whole):
        return Whole(code.value * factor)
    return code if factor == 1 else Operation("*", (code, Whole(factor)))


def _cut(upper: Code, lower: Code, top: Term, positive: bool, mode: Mode, low: int, *, wide: bool) -> Code:
    name = "wide quotient" if wide else "quotient"
    if mode == "trunc" or (mode == "floor" and top.low >= 0) or (mode == "ceil" and top.high <= 0):
        return Operation(name, (upper, lower))
    if mode in ("floor", "ceil") and isinstance(lower, Whole):
        # Moved to one side of zero, where to cut and to round down (or up) are the same, and back.
        moved = Operation("+", (upper, Whole(-low * lower.value)))
        if mode == "ceil":
            moved = Operation("+", (moved, Whole(lower.value - 1)))
        return Operation("+", (Operation(name, (moved, lower)), Whole(low)))
    half: Code = lower if positive else Operation("abs", (lower,))
    if top.low < 0:
        half = Operation("*", (Operation("sign", (top.code,)), half))
    return Operation(name, (Operation("+", (_product(upper, 2), half)), _product(lower, 2)))


def rounded(value: Fraction, mode: Mode) -> int:
    """The whole number that a fraction becomes."""
    match mode:
        case "floor":
            return floor(value)
        case "ceil":
            return ceil(value)
        case "trunc":
            return int(value)
        case "round":
            away = floor(abs(value) + Fraction(1, 2))
            return -away if value < 0 else away


def to_places(term: Term, places: int, mode: Mode) -> Term:
    """The number with so many decimals; places below zero round to tens, hundreds, ….

    Raises:
        InvalidInput: ``number_too_large``, or ``type_mismatch`` for too many places.
    """
    if abs(places) > _MOST_ROUNDING:
        raise refuse(
            f"a number has at most {_MOST_ROUNDING} decimals here", "round to fewer", "type_mismatch"
        )
    step = Fraction(10) ** -places
    if (term.scale / step).denominator == 1:
        return replace(term, column=None)
    if term.number is not None:
        return constant(rounded(term.number / step, mode) * step)
    found = quotient(term, None, term.scale / step, mode)
    values = None
    if term.values is not None:
        cut = {rounded(int(value) * term.scale / step, mode) for value in term.values}
        values = tuple(sorted(cut))
    return bounded(replace(found, scale=step, values=values))


def remainder(left: Term, right: Term) -> Term:
    """What is left of x when y is taken from it as often as it goes; it has the sign of x.

    Raises:
        InvalidInput: ``number_too_large``.
    """
    if right.number == 0:
        raise refuse("a question cannot divide by zero", "leave it out", "type_mismatch")
    one, other = aligned(left, right)
    most = max(abs(other.low), abs(other.high)) - 1
    largest = max(0, min(most, max(abs(one.low), abs(one.high))))
    code = Operation("mod", (one.code, other.code))
    found = whole(
        code, -largest if one.low < 0 else 0, largest if one.high > 0 else 0, one, other, scale=one.scale
    )
    return replace(found, nullable=_may_fail(one, other))


def absolute(term: Term) -> Term:
    """|x|."""
    if term.number is not None:
        return constant(abs(term.number))
    ends = (abs(term.low), abs(term.high))
    low = 0 if term.low <= 0 <= term.high else min(ends)
    values = None if term.values is None else tuple(sorted({abs(int(value)) for value in term.values}))
    code = Operation("abs", (term.code,))
    return replace(term, code=code, low=low, high=max(ends), values=values, column=None)


def sign(term: Term) -> Term:
    """-1, 0 or 1."""
    low, high = ((end > 0) - (end < 0) for end in (term.low, term.high))
    return whole(Operation("sign", (term.code,)), low, high, term)


def extreme(name: Literal["greatest", "least"], *terms: Term) -> Term:
    """The greatest or least of those that are known; unknown where none is."""
    same = aligned(*terms)
    pick = max if name == "greatest" else min
    # Where one may be unknown, it bounds nothing.
    certain = [term for term in same if not term.nullable]
    low, high = (
        (max([t.low for t in certain], default=min(t.low for t in same)), max(t.high for t in same))
        if pick is max
        else (min(t.low for t in same), min([t.high for t in certain], default=max(t.high for t in same)))
    )
    code = Operation(name, tuple(term.code for term in same))
    nullable = all(term.nullable for term in same)
    return Term(same[0].kind, code, nullable, low, max(low, high), same[0].scale)


def of_boolean(term: Term) -> Term:
    """A condition as 0 and 1."""
    code = Choice(((term.code, Whole(1)), (Operation("not", (term.code,)), Whole(0))), None)
    if isinstance(term.code, Fact):
        return constant(int(term.code.value))
    return Term("number", code, term.nullable, 0, 1)


def whole_number(what: str, term: Term) -> int:
    """The whole number that a constant is.

    Raises:
        InvalidInput: ``type_mismatch``.
    """
    value = term.number
    if term.kind != "number" or value is None or value.denominator != 1:
        raise refuse(f"{what} takes a whole number, written out", "write a literal there", "type_mismatch")
    return value.numerator
