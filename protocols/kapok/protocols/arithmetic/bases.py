"""The two bases of primes, and the constants that tie one modulus to them.

A number is held as its residues modulo the primes a_i of base A and b_j of base B. With w bytes to a digit,

    R = (k+1)·2^(8w)     bounds every part of every operand,
    A = ∏ a_i ≥ 2(s+1)·R,   B = ∏ b_j > 4·R.

Stored are, for a number x, in base A   x·s_i mod a_i  with s_i² = ε_i·(−N⁻¹·(A/a_i)⁻¹), ε_i = ±1, so that the
product of two stored residues is the ε_i·ξ_i that the extension to B starts from (a_i ≡ 3 mod 4: one of v and
−v has a root); in base B   η_j = x·(B/b_j)⁻¹ mod b_j, from which the extension to A starts. The signs ε_i and
all other factors are folded into the matrices.

The scheme is Montgomery's multiplication in residue number systems: Bajard, Didier, Kornerup, *An RNS
Montgomery modular multiplication algorithm* (IEEE Transactions on Computers 47, 1998); the exact extension
back with a rounded quotient is Shenoy and Kumaresan's idea in floating point, as Kawamura, Koike, Sano,
Shimbo, *Cox-Rower architecture for fast parallel Montgomery multiplication* (EUROCRYPT 2000) have it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from kapok.errors import InternalError, InvalidInput
from kapok.protocols.arithmetic import bounds

__all__ = ["GROUP", "LIMB_BITS", "Bases", "Constants", "Floats", "Integers"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

LIMB_BITS: Final = 24
"""Digits are read and written in limbs of this many bits."""

GROUP: Final = 8
"""Limbs of a group: as long as three words of 64 bits."""

_SIEVE_SPAN: Final = 1 << 16
_ALIKE_BITS: Final = 13


@dataclass(frozen=True, eq=False)
class Bases:
    """The primes for digits of `width` bytes and N-adic numbers of `degree` + 1 digits.

    Attributes:
        width: Bytes of a digit.
        degree: s of the modulus N^(s+1).
        a: Primes of base A, all ≡ 3 (mod 4).
        b: Primes of base B.
    """

    width: int
    degree: int
    a: tuple[int, ...]
    b: tuple[int, ...]

    @classmethod
    def of(cls, width: int, degree: int, *, typical: bool) -> Bases:
        """The bases of fewest primes for a size of digits; `typical` as in `bounds.largest_prime`."""
        return _bases(width, degree, typical)

    @cached_property
    def operand_bound(self) -> int:
        """R: no part of an operand is larger in size."""
        return _operand_bound(len(self.a), self.width)

    @cached_property
    def product_a(self) -> int:
        """A, the Montgomery radix."""
        return math.prod(self.a)

    @cached_property
    def product_b(self) -> int:
        """B."""
        return math.prod(self.b)

    @cached_property
    def a_inverse_in_b(self) -> Integers:
        """a_i⁻¹ mod b_j, int64 of shape (len(b), len(a))."""
        rows, columns = np.array(self.b)[:, None], np.array(self.a)[None, :]
        return _inverse(columns, rows)

    @cached_property
    def b_inverse_in_a(self) -> Integers:
        """b_j⁻¹ mod a_i, int64 of shape (len(a), len(b))."""
        rows, columns = np.array(self.a)[:, None], np.array(self.b)[None, :]
        return _inverse(columns, rows)


class Constants:
    """All that products modulo N^(s+1), and reading and writing digits, take from N.

    Matrices hold centred residues in float64, ready for BLAS.

    Attributes:
        to_b: G₁, (kB, kA): ε·ξ in A to N·q̂·A⁻¹ in B's form.
        to_a: G₂, (kA, kB+1): η and β in B to stored residues in A.
        n_inverse_a: N⁻¹ mod a_i, (kA,).
        n_inverse_b: N^-1 … N^-s mod b_j, (s, kB).
        ready_b: κ = (B/b_j)·A⁻¹ mod b_j, (kB,): makes an operand of a product from η.
        read_a, read_b, read_ready_b: (kA or kB, 8·groups+1): centred limbs and a 1 to residues.
        written: (out_limbs, kB+2): η, β and c to the limbs of Σ η·B/b − β·B − c·N.
        modulus_limbs: N in limbs, int64 of shape (out_limbs,).
        limb_rows: The row of each limb, lowest limb first, wherever limbs are rows.
    """

    def __init__(self, bases: Bases, modulus: int) -> None:
        self.bases = bases
        self.modulus = modulus
        self.primes_a = np.array(bases.a, dtype=np.int64)
        self.primes_b = np.array(bases.b, dtype=np.int64)
        a, b = self.primes_a, self.primes_b
        n_inverse_a = _inverse(_residues(modulus, bases.a), a)
        n_inverse_b = _inverse(_residues(modulus, bases.b), b)
        scale, sign = self._roots(n_inverse_a)
        # (B/b_j)⁻¹ mod b_j, and A mod b_j.
        eta_scale = _inverse(_residues_of_cofactors(bases.b, bases.product_b), b)
        a_in_b = _residues(bases.product_a, bases.b)
        ready = _times(_inverse(a_in_b, b), _inverse(eta_scale, b), b)

        n_in_b = _times(_residues(modulus, bases.b), eta_scale, b)
        to_b = _times(bases.a_inverse_in_b, n_in_b[:, None], b[:, None]) * sign[None, :]
        self.to_b = _centred(to_b, b[:, None])

        b_in_a = _times(_residues(bases.product_b, bases.a), scale, a)
        to_a = _times(bases.b_inverse_in_a, b_in_a[:, None], a[:, None])
        self.to_a = _centred(np.concatenate([to_a, -b_in_a[:, None]], axis=1), a[:, None])

        self.n_inverse_a = _centred(n_inverse_a, a)
        powers = [n_inverse_b]
        for _ in range(bases.degree - 1):
            powers.append(_times(powers[-1], n_inverse_b, b))
        self.n_inverse_b = _centred(np.stack(powers), b)
        self.ready_b = _centred(ready, b)
        self.beta_row: Floats = 1.0 / b.astype(np.float64)[None, :]

        limbs = -(-8 * bases.width // LIMB_BITS)
        self.limbs = limbs
        self.limb_groups = -(-limbs // GROUP)
        self.out_limbs = max(GROUP * self.limb_groups, -(-(bases.product_b.bit_length() + 2) // LIMB_BITS))
        self.limb_rows = limb_rows(self.limb_groups, self.out_limbs)
        self.read_a = self._limb_weights(scale, a)
        self.read_b = self._limb_weights(eta_scale, b)
        self.read_ready_b = self._limb_weights(_times(eta_scale, ready, b), b)
        columns = [bases.product_b // prime for prime in bases.b] + [-bases.product_b, -modulus]
        self.written = np.zeros((self.out_limbs, len(columns)))
        for column, number in enumerate(columns):
            self.written[self.limb_rows, column] = _balanced_limbs(number, self.out_limbs)
        self.modulus_limbs = np.zeros(self.out_limbs, dtype=np.int64)
        self.modulus_limbs[self.limb_rows] = _limbs(modulus, self.out_limbs)
        self.b_over_n = float(bases.product_b * 2**64 // modulus) / 2.0**64
        self.scale_a, self.scale_b = scale, eta_scale

    @classmethod
    def of(cls, modulus: int, degree: int) -> Constants:
        """The constants on the fewest primes with which everything is exact.

        Raises:
            InvalidInput: code ``bad_modulus`` for a modulus that shares a factor with 6 or with the primes.
        """
        width = -(-modulus.bit_length() // 8)
        for typical in (True, False):
            bases = Bases.of(width, degree, typical=typical)
            if math.gcd(modulus, 6 * bases.product_a * bases.product_b) != 1:
                raise InvalidInput(
                    "there is no arithmetic for a modulus with a small prime factor",
                    code="bad_modulus",
                    remedy="use a modulus that is the product of two large primes",
                )
            constants = cls(bases, modulus)
            if bounds.are_exact(constants.reached()):
                break
        bounds.check(constants.reached())
        return constants

    def reached(self) -> dict[str, int]:
        """The largest |x| that each step could meet with these constants, as `bounds` lists them."""
        degree = self.bases.degree
        h_a = bounds.residue_bound(int(self.primes_a.max()))
        h_b = bounds.residue_bound(int(self.primes_b.max()))
        bound_a = (self.primes_a + 1) // 2 + bounds.SLACK
        bound_b = (self.primes_b + 1) // 2 + bounds.SLACK
        beta = len(self.primes_b) // 2 + 2
        carry = self.bases.operand_bound // self.modulus + 2
        to_b = bounds.row_bound(self.to_b, bound_a.astype(np.float64))
        with_beta = np.append(bound_b, beta).astype(np.float64)
        with_carry = np.append(bound_b, [beta, carry]).astype(np.float64)
        half_limb = np.full(self.read_a.shape[1], 2 ** (LIMB_BITS - 1), dtype=np.float64)
        half_limb[-1] = 1
        return {
            "a product in base A": (degree + 1) * h_a**2,
            "a product in base B": to_b + (2 * degree + 1) * h_b**2,
            "a square in base A": (degree + 2) * h_a**2,
            "a square in base B": to_b + (degree + 2) * h_b**2,
            "an operand made ready": 2 * max(h_a, h_b) ** 2,
            "the extension to A": bounds.row_bound(self.to_a, with_beta),
            "digits read in A": bounds.row_bound(self.read_a, half_limb) + h_a**2,
            "digits read in B": max(
                bounds.row_bound(self.read_b, half_limb),
                bounds.row_bound(self.read_ready_b, half_limb) + h_b**2,
            ),
            "digits written": bounds.row_bound(self.written, with_carry),
        }

    def prepared(self, parts: list[int]) -> Floats:
        """The operand with these parts, made ready for products: a column of (s+1)·(kA+kB) residues."""
        modulus, order = self.modulus, self.bases.product_a * self.bases.product_b
        n_inverse = pow(modulus, -1, order)
        hat, rows_a, rows_b = 0, [], []
        a_inverse = pow(self.bases.product_a, -1, self.bases.product_b)
        for part in parts:
            hat = (part + hat * n_inverse) % order
            rows_a.append(
                _centred(_times(_residues(hat, self.bases.a), self.scale_a, self.primes_a), self.primes_a)
            )
            rows_b.append(_centred(_residues(hat * a_inverse, self.bases.b), self.primes_b))
        return np.concatenate(rows_a + rows_b)

    def in_b(self, parts: list[int]) -> Floats:
        """η of canonical parts, (s+1, kB)."""
        rows = [_times(_residues(part, self.bases.b), self.scale_b, self.primes_b) for part in parts]
        return np.stack([_centred(row, self.primes_b) for row in rows])

    def _limb_weights(self, scale: Integers, primes: Integers) -> Floats:
        """Residues of scale·2^(24·l) at the row of limb l; last what centring took off all of them."""
        weights = np.zeros((len(primes), GROUP * self.limb_groups + 1), dtype=np.int64)
        weight = scale % primes
        for row in self.limb_rows[: self.limbs]:
            weights[:, row] = weight
            weight = _times(weight, np.int64(1 << LIMB_BITS) % primes, primes)
        centre = np.int64(1 << (LIMB_BITS - 1)) % primes
        weights[:, -1] = _times(weights.sum(axis=1) % primes, centre, primes)
        return _centred(weights, primes[:, None])

    def _roots(self, n_inverse: Integers) -> tuple[Integers, Integers]:
        """s_i and ε_i with s_i² ≡ ε_i·(−N⁻¹·(A/a_i)⁻¹) (mod a_i)."""
        a = self.primes_a
        cofactors = _residues_of_cofactors(self.bases.a, self.bases.product_a)
        square = (a - _times(n_inverse, _inverse(cofactors, a), a)) % a
        root = _power(square, (a + 1) // 4, a)
        return root, np.where(_times(root, root, a) == square, 1, -1)


@lru_cache(maxsize=32)
def _bases(width: int, degree: int, typical: bool) -> Bases:
    """Grow the number of rows until the largest primes that it allows suffice."""
    for rows in range(8 * width // 25, 1024):
        bound = _operand_bound(rows, width)
        need_a, need_b = 2 * (degree + 1) * bound, 4 * bound + 1
        a: list[int] = []
        b: list[int] = []
        product_a = product_b = 1
        most = bounds.largest_prime(rows, degree, typical=typical)
        for prime in _descending_primes(most):
            if prime % 4 == 3 and product_a < need_a:
                a.append(prime)
                product_a *= prime
            elif product_b * prime < need_b:
                b.append(prime)
                product_b *= prime
            elif product_a >= need_a:
                break
        b.append(_last_prime(-(-need_b // product_b), product_b, most, {*a, *b}))
        if max(len(a), len(b)) <= rows:
            return Bases(width, degree, tuple(a), tuple(b))
    raise InternalError(f"no bases for digits of {width} bytes", code="inexact_arithmetic")


def _operand_bound(rows: int, width: int) -> int:
    return (rows + 1) << (8 * width)


def _descending_primes(most: int) -> Iterator[int]:
    """The primes up to `most`, the largest first; as many as the bases could need."""
    least = most - _SIEVE_SPAN
    is_prime = np.ones(_SIEVE_SPAN, dtype=np.bool_)  # of least + 1 … most
    for factor in range(2, math.isqrt(most) + 1):
        is_prime[-(least + 1) % factor :: factor] = False
    return (least + 1 + int(offset) for offset in np.flatnonzero(is_prime)[::-1])


def _last_prime(least: int, product: int, most: int, used: set[int]) -> int:
    """The prime that completes B, at least `least`.

    The numbers B/b_j are alike in their highest dozen bits. Where these fill the highest limb and no more, no
    row of limbs is large throughout, and rows sum to little when digits are written.
    """
    highest = ((product * least // most).bit_length() - 1) % LIMB_BITS + 1
    wanted = least << max(0, _ALIKE_BITS - highest)
    candidate = max(3, (wanted if wanted < most else least) | 1)
    while candidate in used or any(
        candidate % factor == 0 for factor in range(3, math.isqrt(candidate) + 1, 2)
    ):
        candidate += 2
    return candidate


def _residues(number: int, primes: tuple[int, ...]) -> Integers:
    return np.array([number % prime for prime in primes], dtype=np.int64)


def _residues_of_cofactors(primes: tuple[int, ...], product: int) -> Integers:
    return np.array([product // prime % prime for prime in primes], dtype=np.int64)


def _times(x: Integers, y: Integers, primes: Integers) -> Integers:
    """x·y modulo primes below 2^25, operands reduced in size."""
    return x * y % primes


def _power(base: Integers, exponent: Integers, primes: Integers) -> Integers:
    """base^exponent modulo primes below 2^25, elementwise."""
    result = np.ones_like(base * exponent)
    for bit in range(int(exponent.max()).bit_length() - 1, -1, -1):
        result = result * result % primes
        result = np.where(exponent >> bit & 1, result * base % primes, result)
    return result


def _inverse(x: Integers, primes: Integers) -> Integers:
    return _power(x % primes, primes - 2, primes)


def _centred(x: Integers, primes: Integers) -> Floats:
    """Residues in −(m−1)/2 … (m−1)/2, float64."""
    half = (primes - 1) // 2
    return np.ascontiguousarray((x + half) % primes - half, dtype=np.float64)


def limb_rows(groups: int, count: int) -> list[int]:
    """The row in which each of `count` limbs lies: first limbs of all groups, then second ones, and so on.

    So a shift moves the limbs of all groups at once, in one piece of memory. Limbs beyond the groups follow.
    """
    return [limb % GROUP * groups + limb // GROUP if limb < GROUP * groups else limb for limb in range(count)]


def _limbs(number: int, count: int) -> Integers:
    """A number that is not negative, in limbs of 24 bits."""
    return np.array(
        [number >> (LIMB_BITS * limb) & ((1 << LIMB_BITS) - 1) for limb in range(count)], dtype=np.int64
    )


def _balanced_limbs(number: int, count: int) -> Floats:
    """Σ limb·2^(24·l) = number with limbs in −2^23 … 2^23, the sign in all of them."""
    sign, limbs = (-1 if number < 0 else 1), _limbs(abs(number), count)
    for limb in range(count - 1):
        if limbs[limb] >= 1 << (LIMB_BITS - 1):
            limbs[limb] -= 1 << LIMB_BITS
            limbs[limb + 1] += 1
    return (sign * limbs).astype(np.float64)
