"""Opening a ciphertext modulo the powers of one prime factor of N: the receiver's alone.

    a = c^e mod p^(s+1), e the order of h modulo p     the randomness is gone: a = (1+N)^(m·e)
    m = log(a) / (e·log(1+N)) mod p^s                   log(1+z) = z − z²/2 + z³/3 − …, p | z

The p-adic logarithm of a number ≡ 1 (mod p) turns products into sums, and its series ends after s terms
modulo p^(s+1), as p > s. It gives what section 3 of Damgård and Jurik (2001) computes digit by digit.

Under the subgroup profile e = 2·p′ is short. A ciphertext whose randomness lies outside the subgroup, such
as one of another library, shows by a ≢ 1 (mod p), and is raised to p − 1 instead. What is no unit shows by
then: 0 instead of 1.

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
from kapok.protocols.paillier.vector import bad_ciphertext

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

    __slots__ = ("_degree", "_factor", "_modulus", "_ring", "_scale", "_terms", "modulus")

    def __init__(self, factor: Factor, n: int, degree: int) -> None:
        self._factor, self._degree = factor, degree
        self.modulus: int = factor.prime**degree
        self._modulus: int = factor.prime ** (degree + 1)
        self._terms = [
            (pow(index, -1, self.modulus), factor.prime ** (degree - index)) for index in range(degree, 0, -1)
        ]
        self._scale = pow(self._log(n // factor.prime), -1, self.modulus)
        self._ring: Ring | None = None

    def __repr__(self) -> str:
        return "<PrimePower>"

    def open(self, ciphertexts: Sequence[int]) -> list[int]:
        """Plaintexts modulo p^degree.

        Args:
            ciphertexts: Integers, not negative.

        Raises:
            PeerProtocolError: code ``bad_ciphertext`` for one that is no unit.
        """
        prime, order = self._factor.prime, self._factor.order
        opened = self._opened(ciphertexts, order)
        foreign = [index for index, plaintext in enumerate(opened) if plaintext is None]
        if foreign:
            others = self._opened([ciphertexts[index] for index in foreign], prime - 1)
            for index, plaintext in zip(foreign, others, strict=True):
                opened[index] = plaintext
        units = [plaintext for plaintext in opened if plaintext is not None]
        if len(units) < len(opened):
            raise bad_ciphertext("a ciphertext shares a factor with the key's modulus")
        return units

    def _opened(self, ciphertexts: Sequence[int], exponent: int) -> list[int | None]:
        """Plaintexts; None where the exponent leaves some of the randomness."""
        scale = self._scale * pow(exponent, -1, self.modulus) % self.modulus
        return [
            None if step is None else self._log(step) * scale % self.modulus
            for step in self._steps(ciphertexts, exponent)
        ]

    def _steps(self, ciphertexts: Sequence[int], exponent: int) -> list[int | None]:
        """(c^exponent − 1)/p modulo p^degree; None where c^exponent ≢ 1 (mod p)."""
        if len(ciphertexts) < FEWEST_AT_ONCE:
            powers = (pow(ciphertext, exponent, self._modulus) for ciphertext in ciphertexts)
            pairs = [divmod(power - 1, self._factor.prime) for power in powers]
            return [None if rest else step for step, rest in pairs]
        ring = self._ring = self._ring or Ring(self._factor.prime, self._degree)
        digits = from_integers(ring, [ciphertext % self._modulus for ciphertext in ciphertexts])
        raised = power(ring, digits, exponent)
        is_one = (raised[:, 0] == from_integers(ring, [1])[0, 0]).all(axis=1)
        steps = to_integers(ring, raised[:, 1:])
        return [step if one else None for step, one in zip(steps, is_one, strict=True)]

    def _log(self, step: int) -> int:
        """log(1 + step·p)/p modulo p^degree: step·(1 − step·p·(1/2 − step·p·(1/3 − …)))."""
        series = 0
        for inverse, modulus in self._terms:
            # A multiple of p, of which as much is computed as the terms before leave significant.
            series = inverse - self._factor.prime * (step % modulus * series % modulus)
        return step * series % self.modulus
