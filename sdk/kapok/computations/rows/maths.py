"""Roots, logarithms and powers: of one row in doubles rounded to fixed point, of an answer to many digits.

Outside of its domain a function is unknown, never an error. All of them rise or fall over their whole
domain, so the bounds of the result are those of the ends.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Context, Decimal
from fractions import Fraction
from math import isqrt
from typing import Final

from kapok.computations.language.hints import refuse
from kapok.computations.rows.arithmetic import decimals_that_fit, divide, multiply, number
from kapok.computations.rows.operations import Choice, Code, Operation, Whole
from kapok.computations.rows.terms import Term, constant, too_large, whole

__all__ = ["MATHS", "maths", "power", "power_of", "value_of"]

MATHS: Final = frozenset({"sqrt", "ln", "log10", "log2", "exp"})

_PRECISE: Final = Context(prec=60, Emin=-(10**6), Emax=10**6)
_ROOT_BITS: Final = 256
_MOST_EXPONENT: Final = 16
_LEAST_DOUBLE: Final = Fraction(1, 10**280)
_MOST_NATURAL: Final = 600


def value_of(name: str, value: Fraction) -> Fraction | None:
    """A function of `MATHS`, to more digits than a double has; None outside of its domain."""
    if name == "exp":
        if value > 10**4:
            return None
        return Fraction(0) if value < -(10**4) else Fraction(_decimal(value).exp(_PRECISE))
    if value < 0 or (value == 0 and name != "sqrt"):
        return None
    if name == "sqrt":
        return _root(value)
    if name == "log10":
        return Fraction(_decimal(value).log10(_PRECISE))
    logarithm = _decimal(value).ln(_PRECISE)
    return Fraction(_PRECISE.divide(logarithm, Decimal(2).ln(_PRECISE)) if name == "log2" else logarithm)


def _decimal(value: Fraction) -> Decimal:
    return _PRECISE.divide(Decimal(value.numerator), Decimal(value.denominator))


def _root(value: Fraction) -> Fraction:
    """The square root, exact where it is rational, else to `_ROOT_BITS` bits."""
    top, bottom = isqrt(value.numerator), isqrt(value.denominator)
    if top * top == value.numerator and bottom * bottom == value.denominator:
        return Fraction(top, bottom)
    shift = max(0, _ROOT_BITS - value.numerator.bit_length() + value.denominator.bit_length())
    shift += shift % 2
    return Fraction(isqrt((value.numerator << shift) // value.denominator), 1 << (shift // 2))


def power_of(value: Fraction, exponent: Fraction) -> Fraction | None:
    """Value ^ exponent; None outside of its domain."""
    if exponent.denominator == 1:
        if value == 0 and exponent < 0:
            return None
        return value**exponent.numerator
    if value < 0 or (value == 0 and exponent < 0):
        return None
    if value == 0:
        return Fraction(0)
    return Fraction(_PRECISE.power(_decimal(value), _decimal(exponent)))


def maths(name: str, term: Term) -> Term:
    """A function of `MATHS` of a term, in fixed point.

    Raises:
        InvalidInput: ``type_mismatch`` or ``number_too_large``.
    """
    term = number(name.upper(), term)
    if name == "exp":
        if term.high * term.scale > _MOST_NATURAL or term.low * term.scale < -_MOST_NATURAL:
            raise too_large()
        return _fixed("exp", term, term.low, term.code, ())
    least = 0 if name == "sqrt" else 1
    if term.high < least:
        raise refuse(f"{name.upper()} is unknown for every value", "leave it out", "type_mismatch")
    first = max(term.low, least)
    return _fixed(name, term, first, _from(term, least), ())


def _from(term: Term, least: int) -> Code:
    """The steps where they are in the domain: an engine must never be asked for more."""
    if term.low >= least:
        return term.code
    return Choice(((Operation(">=", (term.code, Whole(least))), term.code),), None)


def _fixed(name: str, term: Term, first: int, code: Code, exponent: tuple[int, ...]) -> Term:
    """A function that rises or falls from the steps `first` to the term's highest."""
    ends = []
    for steps in (first, term.high):
        found = (
            power_of(steps * term.scale, Fraction(*exponent))
            if exponent
            else value_of(name, steps * term.scale)
        )
        if found is None or (found and abs(found) < _LEAST_DOUBLE and name == "power"):
            raise too_large()
        ends.append(found)
    decimals = decimals_that_fit(max(map(abs, ends)) + 1)
    low, high = (int(end * 10**decimals) for end in (min(ends), max(ends)))
    numbers = (term.scale.numerator, term.scale.denominator, decimals, *exponent)
    # One part in 10^13 for what an engine's double may differ, and one step.
    spread = 1 + max(abs(low), abs(high)) // 10**13
    found_term = whole(
        Operation(name, (code,), numbers), low - spread, high + spread, term, scale=Fraction(1, 10**decimals)
    )
    return replace(found_term, nullable=term.nullable or code is not term.code)


def power(term: Term, exponent: Term) -> Term:
    """POWER(x, constant): exact for whole exponents from 0, else in fixed point where x is above zero.

    Raises:
        InvalidInput: ``type_mismatch`` or ``number_too_large``.
    """
    term, exponent = number("POWER", term), number("POWER", exponent)
    value = exponent.number
    if value is None or abs(value) > _MOST_EXPONENT:
        raise refuse(
            "POWER takes a constant exponent",
            f"write a number from -{_MOST_EXPONENT} to {_MOST_EXPONENT}",
            "type_mismatch",
        )
    if value.denominator == 1 and value >= 0:
        found = multiply(term, constant(0)) if value == 0 else term
        if value == 0:
            return replace(constant(1), code=Operation("+", (found.code, Whole(1))), nullable=term.nullable)
        for _ in range(value.numerator - 1):
            found = multiply(found, term)
        return found
    if value.denominator == 1:
        return divide(constant(1), power(term, constant(-value)))
    least = 1 if value < 0 else 0
    if term.high < least:
        raise refuse("POWER is unknown for every value", "leave it out", "type_mismatch")
    first = max(term.low, least)
    return _fixed("power", term, first, _from(term, least), (value.numerator, value.denominator))
