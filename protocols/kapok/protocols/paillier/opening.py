"""Opening a ciphertext modulo the powers of one prime factor of N: the receiver's alone.

    a = c^e mod p^(s+1), e the order of h modulo p     the randomness is gone: a = (1+N)^(m·e)
    m = log(a) / (e·log(1+N)) mod p^s                   log(1+z) = z − z²/2 + z³/3 − …, p | z

The p-adic logarithm of a number ≡ 1 (mod p) turns products into sums, and its series ends after s terms
modulo p^(s+1), as p > s. It gives what section 3 of Damgård and Jurik (2001) computes digit by digit.

Under the subgroup profile e = 2·p′ is short. A ciphertext whose randomness lies outside the subgroup, such
as one of another library, shows by a ≢ 1 (mod p), and is raised to p − 1 instead.

The powers, all with one exponent, are the vectorised arithmetic's where there are enough of them; the rest is
a hundredth of the work, and done on Python integers. The arithmetic's constants of p are as secret as p: they
stay with the key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from kapok.errors.secrecy import NeverPickled
from kapok.protocols.arithmetic.digits import from_integers, to_integers
from kapok.protocols.arithmetic.powers import power
from kapok.protocols.arithmetic.ring import Ring

__all__ = ["FEWEST_AT_ONCE", "Factor", "PrimePower"]

FEWEST_AT_ONCE: Final = 8
"""Ciphertexts from which on raising them at once is faster than one after the other: measured."""


@dataclass(frozen=True, slots=True)
class Factor(NeverPickled):
    """A prime factor of N, and the exponent under which h vanishes modulo it. Never printed.

    Attributes:
        prime: p.
        order: p − 1, or 2·p′ under the subgroup profile.
    """

    prime: int = field(repr=False)
    order: int = field(repr=False)

    @property
    def cofactor(self) -> int:
        """(p − 1)/order."""
        return (self.prime - 1) // self.order


class PrimePower(NeverPickled):
    """Opens ciphertexts of one degree modulo p^degree. Never printed.

    Args:
        factor: The prime and its exponent.
        n: N.
        degree: s.
    """

    __slots__ = ("_degree", "_factor", "_inverses", "_modulus", "_ring", "_scale", "modulus")

    def __init__(self, factor: Factor, n: int, degree: int) -> None:
        self._factor, self._degree = factor, degree
        self.modulus: int = factor.prime**degree
        self._modulus: int = factor.prime ** (degree + 1)
        self._inverses = [pow(index, -1, self.modulus) for index in range(degree, 0, -1)]
        self._scale = pow(self._log(1 + n), -1, self.modulus)
        self._ring: Ring | None = None

    def __repr__(self) -> str:
        return "<PrimePower>"

    def open(self, ciphertexts: Sequence[int]) -> list[int]:
        """Plaintexts modulo p^degree of ciphertexts that are units."""
        prime, order = self._factor.prime, self._factor.order
        powers = self._powers(ciphertexts, order)
        opened = self._opened(powers, order)
        foreign = [index for index, power in enumerate(powers) if power % prime != 1]
        if foreign:
            others = self._powers([ciphertexts[index] for index in foreign], prime - 1)
            for index, plaintext in zip(foreign, self._opened(others, prime - 1), strict=True):
                opened[index] = plaintext
        return opened

    def _powers(self, ciphertexts: Sequence[int], exponent: int) -> list[int]:
        if len(ciphertexts) < FEWEST_AT_ONCE:
            return [pow(ciphertext, exponent, self._modulus) for ciphertext in ciphertexts]
        self._ring = self._ring or Ring(self._factor.prime, self._degree)
        digits = from_integers(self._ring, [ciphertext % self._modulus for ciphertext in ciphertexts])
        return to_integers(self._ring, power(self._ring, digits, exponent))

    def _opened(self, powers: Sequence[int], exponent: int) -> list[int]:
        scale = self._scale * pow(exponent, -1, self.modulus)
        return [self._log(power) * scale % self.modulus for power in powers]

    def _log(self, number: int) -> int:
        """log(number)/p modulo p^degree, for a number ≡ 1 (mod p)."""
        step = (number - 1) % self._modulus
        series = 0
        for inverse in self._inverses:
            series = (inverse - step * series) % self.modulus
        return step // self._factor.prime * series % self.modulus
