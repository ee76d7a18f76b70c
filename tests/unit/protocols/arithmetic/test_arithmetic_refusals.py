"""What the arithmetic cannot do exactly it refuses before it begins."""

import pytest

from kapok.errors import InternalError, InvalidInput
from kapok.protocols.arithmetic import Ring, bounds
from kapok.protocols.arithmetic.digits import from_integers
from kapok.protocols.arithmetic.powers import power


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
