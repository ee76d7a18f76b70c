"""Why float64 is exact here: what every step may reach, and the check of it on the constants in use.

A float64 holds every integer up to 2^53. All values are integers: signed residues modulo small primes, and
sums of products of two of them. Let m < 2^25 be a prime of a base. The reduction

    r = x − m·rint(x·(1/m))

is exact for |x| ≤ `REDUCIBLE` = 2^53 − 2^25, and gives |r| ≤ m/2 + `SLACK`:

- 1/m and the product are each rounded once, so that the quotient before `rint` is off by at most
  |x/m|·(2^-52 + 2^-106) < 2.01/m. Hence |x − m·q| < m/2 + 2.01 for the rounded q; as both are integers and
  m is odd, |x − m·q| ≤ m/2 + 1.5.
- m·q is then an integer of at most |x| + m/2 + 2 < 2^53, exact; so is its difference to x.

The sums that are reduced, with k primes in a base, `h` = m/2 + 2 for its largest prime, s the degree, and
|G|·h for the largest sum over a row of a matrix of |entry| times the bound of the residue that it meets:

    product in base A           (s+1)·h²
    product in base B           |G₁|·h + (2s+1)·h²            G₁: A → B
    square in base A            (s+1)·h² + h²
    square in base B            |G₁|·h + (s+2)·h²
    operand made ready          2·h²
    extension back to A         |G₂|·h + (k+1)·h              G₂: B → A, its last column meets |β| ≤ k/2 + 1
    digits read                 |W|·2^23                      limbs of 24 bits, centred
    digits written              |V|·h                         limbs of the constants B/b, B and N

The rows are summed from the constants themselves (`row_bound`), for each modulus that is used, and `check`
refuses what could pass `REDUCIBLE`. No row can sum to more than k·h², but the entries of a matrix, residues
without a pattern, are a quarter of their prime on the average and not half of it: a row sums to
k·h²·(1/2 ± 0.29/√k). The primes are chosen for rows of five such deviations (`largest_prime`), hence larger
and fewer; a modulus whose constants do have a larger row, less than one in a thousand, gets the primes that
are good for all.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from kapok.errors import InternalError

__all__ = ["EXACT", "REDUCIBLE", "SLACK", "are_exact", "check", "largest_prime", "residue_bound", "row_bound"]

EXACT: Final = 2**53
"""Every integer up to this is a float64."""

REDUCIBLE: Final = EXACT - 2**25
"""A reduction modulo a prime below 2^25 is exact up to this."""

SLACK: Final = 2
"""By how much a reduced residue may exceed half its prime."""


def largest_prime(rows: int, degree: int, *, typical: bool) -> int:
    """The largest m with (ρ·rows + 2·degree + 2)·(m/2 + 2)² ≤ `REDUCIBLE`.

    Never above 2^25 − 8, so that residues are also exact in float32.

    Args:
        rows: Primes of a base.
        degree: s.
        typical: Whether ρ is what the sums of rows reach as a rule, or 1, which they never pass.
    """
    share = min(1.0, 0.5 + 5 * 0.29 / math.sqrt(rows)) if typical else 1.0
    half = math.isqrt(math.floor(REDUCIBLE / (share * rows + 2 * degree + 2)))
    return min(2 * (half - SLACK), 2**25 - 8)


def residue_bound(prime: int) -> int:
    """What a reduced residue may reach in size, rounded up."""
    return (prime + 1) // 2 + SLACK


def row_bound(matrix: npt.NDArray[np.float64], column_bounds: npt.NDArray[np.float64]) -> int:
    """The largest sum over a row of |entry|·bound of its column, in exact integers.

    Args:
        matrix: Integers, float64 of shape (rows, columns).
        column_bounds: What the operand may reach in each column, integers, float64 of shape (columns,).
    """
    sums = np.abs(matrix).astype(np.int64) @ column_bounds.astype(np.int64)
    return int(sums.max())


def are_exact(reached: dict[str, int]) -> bool:
    """Whether no step could leave the range where float64 is exact."""
    return max(reached.values()) <= REDUCIBLE


def check(reached: dict[str, int]) -> None:
    """Refuse constants with which a value could leave the range where float64 is exact.

    Args:
        reached: For each step the largest |x| that it could meet.

    Raises:
        InternalError: code ``inexact_arithmetic``.
    """
    for step, bound in reached.items():
        if bound > REDUCIBLE:
            raise InternalError(
                f"the arithmetic's constants let {step} reach {bound}, above 2^53 − 2^25",
                code="inexact_arithmetic",
            )
