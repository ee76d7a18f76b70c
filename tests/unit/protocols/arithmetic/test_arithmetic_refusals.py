"""What the arithmetic cannot do exactly it refuses before it begins."""

from collections.abc import Callable

import numpy as np
import pytest

from kapok.errors import InternalError, InvalidInput
from kapok.protocols.arithmetic import (
    Comb,
    Digits,
    Factors,
    FixedBase,
    Product,
    Ring,
    bounds,
    from_integers,
    multiply,
    one_plus_n_power,
    power,
    power_each,
    product,
    product_of_all,
    times_one_plus_n_power,
)

EXPONENTS = np.ones((3, 1), dtype=np.uint8)
ENTRANCES: dict[str, Callable[[Ring, Digits], object]] = {
    "multiply": lambda ring, digits: multiply(ring, digits, digits),
    "multiply all by one": lambda ring, digits: multiply(ring, _units(ring), digits[1]),
    "multiply by one": lambda ring, digits: multiply(ring, digits, _units(ring)[0]),
    "product": lambda ring, digits: product(ring, [_units(ring), digits]),
    "running product": lambda ring, digits: Product(ring, 3).multiply(digits, 0),
    "product of all": product_of_all,
    "power": lambda ring, digits: power(ring, digits, 5),
    "power each": lambda ring, digits: power_each(ring, digits, EXPONENTS),
    "fixed base": lambda ring, digits: FixedBase(ring, digits[1], Comb.of(8, 2, 2)),
    "factors of powers": lambda ring, digits: FixedBase(ring, _units(ring)[0], Comb.of(8, 2, 2)).powers_times(
        EXPONENTS, digits
    ),
    "factors": Factors.of,
    "exponents of 1 + N": lambda ring, digits: one_plus_n_power(ring, digits[:, 1:]),
    "plaintexts": lambda ring, digits: times_one_plus_n_power(
        ring, Factors.of(ring, _units(ring)), digits[:, 1:]
    ),
}


def _units(ring: Ring) -> Digits:
    return from_integers(ring, [1, 2, 3])


@pytest.mark.parametrize("degree", [1, 2])
@pytest.mark.parametrize("enter", ENTRANCES.values(), ids=ENTRANCES.keys())
def test_what_is_not_canonical_enters_nowhere(ring_of, enter, degree):
    """At every entrance, for behind it nothing looks at digits again."""
    ring = ring_of(512, degree)
    digits = _units(ring).copy()
    enter(ring, digits)
    digits[1, -1] = np.frombuffer(ring.modulus.to_bytes(ring.width, "little"), dtype=np.uint8)
    with pytest.raises(InvalidInput) as caught:
        enter(ring, digits)
    assert caught.value.code == "bad_digits"


@pytest.mark.parametrize(
    ("modulus", "degree", "code"),
    [
        (1 << 1024, 1, "bad_modulus"),
        ((1 << 511) - 1, 1, "bad_modulus"),
        ((1 << 4097) - 1, 1, "bad_modulus"),
        (-((1 << 1024) - 1), 1, "bad_modulus"),
        ((1 << 1024) - 1, -1, "bad_degree"),
        ((1 << 1024) - 1, 5, "bad_degree"),
    ],
)
def test_there_is_no_ring_for_every_modulus_and_degree(modulus, degree, code):
    with pytest.raises(InvalidInput) as caught:
        Ring(modulus, degree)
    assert caught.value.code == code


def test_an_exponent_is_not_negative(ring_of):
    ring = ring_of(1024, 1)
    with pytest.raises(InvalidInput) as caught:
        power(ring, from_integers(ring, [3]), -1)
    assert caught.value.code == "bad_exponent"


def test_constants_with_which_a_step_could_round_are_a_defect():
    bounds.check({"a product": bounds.REDUCIBLE})
    with pytest.raises(InternalError) as caught:
        bounds.check({"a product": bounds.REDUCIBLE, "a sum": bounds.REDUCIBLE + 1})
    assert caught.value.code == "inexact_arithmetic"
    assert "a sum" in caught.value.message
