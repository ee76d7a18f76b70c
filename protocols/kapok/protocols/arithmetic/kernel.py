"""Products modulo N^(s+1), a block of columns at a time.

A column is one number x = x₀ + x₁N + … + x_sN^s, every part held by its residues in two bases (`bases`). The
product of two columns is Montgomery's, x·y·A⁻¹ mod N^(s+1), found part by part: x₀y₀ = r₀·A − q̂₀·N leaves
r₀, and −q̂₀ is carried into the next part, and so on (s+1 reductions modulo N, none of the size of N^(s+1)).

**Ready operands.** As q̂ ≡ −t·N⁻¹ (mod A), the carry can be multiplied into one operand beforehand:
ŷ_m = Σ_{l≤m} y_l·N^−(m−l). With s = 1 a product is

    A:  ξ₀ = red(x₀ŷ₀)             ξ₁ = red(x₀ŷ₁ + x₁ŷ₀)
    B:  z₀ = red(G₁ξ₀ + x₀ŷ₀)      z₁ = red(G₁ξ₁ + x₀ŷ₁ + x₁ŷ₀ − z₀N⁻¹)
    A:  r  = red(G₂[z; β])         β = rint(Σ z_j/b_j)

Squares have no such operand; there the carry stays in its place: ξ₁ = red(2x₀x₁ + ξ₀N⁻¹) in A, and in B,
where e₀ = red(G₁ξ₀) is q̂₀N·A⁻¹, z₁ = red(G₁ξ₁ + 2x₁y₀ − e₀N⁻¹) with y₀ = red(κx₀).

**Sizes.** With all parts of both operands at most R in size, A ≥ 2(s+1)R gives |t_m| ≤ (s+1)R² ≤ A·R/2, and
|q̂| ≤ A·(k+1)/2 as each |ξ_i| ≤ a_i/2 + 2. So |r_m| ≤ (|t_m| + |q̂_{m−1}| + |q̂_m|·N)/A ≤ R/2 + (k+1)(N+1)/2
≤ R: chains of products never grow. B > 4R makes β exact. That every float64 is exact is shown in `bounds`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from kapok.protocols.arithmetic.bases import Floats

if TYPE_CHECKING:
    from kapok.protocols.arithmetic.ring import Ring

__all__ = ["SMALL_PRODUCT", "Kernel", "Ready", "Residues"]

SMALL_PRODUCT: Final = 1_000_000
"""OpenBLAS has a faster path for matrix products of up to that many multiplications."""

_CACHE_LINE: Final = 64


class Residues:
    """Numbers in both bases, one a column.

    Attributes:
        a: Stored residues in base A, (s+1, kA, n).
        b: η in base B, (s+1, kB+2, n); the two rows more take β and the carry of `Kernel.write`.
    """

    __slots__ = ("a", "b")

    def __init__(self, a: Floats, b: Floats) -> None:
        self.a = a
        self.b = b


class Ready:
    """Operands made ready for products, one a column: `rows` of shape ((s+1)·(kA+kB), n), and views of it.

    Attributes:
        rows: All residues.
        a: ŷ stored in base A, (s+1, kA, n).
        b: ŷ·A⁻¹ in base B, (s+1, kB, n).
    """

    __slots__ = ("a", "b", "rows")

    def __init__(self, rows: Floats, parts: int, rows_a: int) -> None:
        columns = rows.shape[1]
        self.rows = rows
        self.a = rows[: parts * rows_a].reshape(parts, rows_a, columns)
        self.b = rows[parts * rows_a :].reshape(parts, -1, columns)


class Kernel:
    """The products themselves, for blocks of a fixed number of columns, with the room they work in.

    For one thread at a time. Every result is written into arrays that the caller gives; `out` may be the
    first operand.
    """

    def __init__(self, ring: Ring, columns: int) -> None:
        constants = ring.constants
        self.ring = ring
        self.columns = columns
        self.parts = ring.parts
        self.rows_a = len(constants.primes_a)
        self.rows_b = len(constants.primes_b)
        self._to_a = constants.to_a
        self._to_b = constants.to_b
        self._beta_row = constants.beta_row
        self._a = self._expand(constants.primes_a)
        self._b = self._expand(constants.primes_b)
        self._a_inverse = self._expand(1.0 / constants.primes_a)
        self._b_inverse = self._expand(1.0 / constants.primes_b)
        self._n_inverse_a = self._expand(constants.n_inverse_a)
        self._n_inverse_b = [self._expand(row) for row in constants.n_inverse_b]
        self._ready_b = self._expand(constants.ready_b)
        self._product_a = _room((self.parts, self.rows_a, columns))
        self._product_b = _room((self.parts, self.rows_b, columns))
        self._multiples_b = _room((self.parts, self.rows_b, columns))
        self._squares_b = _room((self.parts, self.rows_b, columns))
        self._scratch_a = _room(self._product_a.shape)
        self._scratch_b = _room(self._product_b.shape)
        self._row = _room((self.parts, 1, columns))

    def residues(self) -> Residues:
        """Room for a block of numbers."""
        return Residues(
            _room((self.parts, self.rows_a, self.columns)),
            _room((self.parts, self.rows_b + 2, self.columns)),
        )

    def ready(self) -> Ready:
        """Room for a block of ready operands."""
        return Ready(_room((self.ring.ready_rows, self.columns)), self.parts, self.rows_a)

    def expand(self, prepared: Floats) -> Ready:
        """One prepared number in all columns."""
        ready = self.ready()
        np.copyto(ready.rows, prepared)
        return ready

    def set(self, out: Residues, eta: Floats) -> None:
        """One number, given by its η in base B, (s+1, kB), in all columns."""
        np.copyto(out.b[:, : self.rows_b], eta[:, :, None])
        self._extend(out)

    def multiply(self, x: Residues, y: Ready, out: Residues) -> None:
        """Set out = x·y·A⁻¹."""
        self.multiply_last(x, y, out)
        self._extend(out)

    def multiply_last(self, x: Residues, y: Ready, out: Residues) -> None:
        """Set out = x·y·A⁻¹ in base B alone, which is all that `write` and `save` take: a third less work."""
        xi = self._products(x.a, y.a, self._product_a, self._scratch_a)
        self._reduce_a(xi, xi)
        extended = self._scratch_b
        product = self._products(x.b[:, : self.rows_b], y.b, self._product_b, extended)
        self._matmul(self._to_b, xi, extended)
        np.add(product, extended, out=product)
        z = out.b[:, : self.rows_b]
        for part in range(self.parts):
            for lower in range(part):
                correction = self._scratch_b[0]
                np.multiply(z[lower], self._n_inverse_b[part - lower - 1], out=correction)
                np.subtract(product[part], correction, out=product[part])
            self._reduce_b(product[part], z[part])

    def square(self, x: Residues, out: Residues) -> None:
        """Set out = x²·A⁻¹."""
        xi = self._squared_a(x.a)
        extended = self._product_b
        self._matmul(self._to_b, xi, extended)
        self._squared_b(x.b[:, : self.rows_b], extended, out.b[:, : self.rows_b])
        self._extend(out)

    def make_ready(self, x: Residues, out: Ready) -> None:
        """Set out = x as a ready operand."""
        np.multiply(x.b[:, : self.rows_b], self._ready_b, out=self._product_b)
        self.finish_ready(x.a, self._product_b, out)

    def finish_ready(self, plain_a: Floats, plain_b: Floats, out: Ready) -> None:
        """Ready operands from parts without their carries, reduced or not; `plain_b` is used up.

        Args:
            plain_a: Stored residues in A, (s+1, kA, n).
            plain_b: Residues of x·A⁻¹ in B, (s+1, kB, n).
            out: Where they go; `out.a` may be `plain_a`.
        """
        self._reduce_a(plain_a[0], out.a[0])
        self._reduce_b(plain_b[0], out.b[0])
        for part in range(1, self.parts):
            carried = self._scratch_a[1]
            np.multiply(out.a[part - 1], self._n_inverse_a, out=carried)
            np.add(plain_a[part], carried, out=carried)
            self._reduce_a(carried, out.a[part])
            carried = self._scratch_b[1]
            np.multiply(out.b[part - 1], self._n_inverse_b[0], out=carried)
            np.add(plain_b[part], carried, out=carried)
            self._reduce_b(carried, out.b[part])

    def add(self, x: Residues, y: Residues, out: Residues) -> None:
        """Set out = x + y, part by part: sizes add up.

        A product of a sum of up to k numbers with a canonical operand is within the bounds again.
        """
        np.add(x.a, y.a, out=self._product_a)
        self._reduce_a(self._product_a, out.a)
        np.add(x.b[:, : self.rows_b], y.b[:, : self.rows_b], out=self._product_b)
        self._reduce_b(self._product_b, out.b[:, : self.rows_b])

    def read(self, limbs: Floats, out: Residues) -> None:
        """Limbs as `digits` reads them, (s+1, 8·groups+1, n), to residues."""
        constants = self.ring.constants
        self._matmul(constants.read_a, limbs, self._product_a)
        self._reduce_a(self._product_a, out.a)
        self._matmul(constants.read_b, limbs, self._product_b)
        self._reduce_b(self._product_b, out.b[:, : self.rows_b])

    def read_ready(self, limbs: Floats, out: Ready) -> None:
        """Limbs to ready operands, at no more cost than `read`."""
        constants = self.ring.constants
        self._matmul(constants.read_a, limbs, self._product_a)
        self._matmul(constants.read_ready_b, limbs, self._product_b)
        self.finish_ready(self._product_a, self._product_b, out)

    def save(self, x: Residues, rows: npt.NDArray[np.float32]) -> None:
        """The first columns of base B, one row a number: (up to n, (s+1)·kB). Nothing else is needed."""
        eta = x.b[:, : self.rows_b, : len(rows)].transpose(2, 0, 1)
        np.copyto(rows.reshape(len(rows), self.parts, self.rows_b), eta, casting="same_kind")

    def restore(self, rows: npt.NDArray[np.float32], out: Residues) -> None:
        """What `save` kept; columns beyond it stay as they were."""
        saved = rows.reshape(len(rows), self.parts, self.rows_b).transpose(1, 2, 0)
        np.copyto(out.b[:, : self.rows_b, : len(rows)], saved)
        self._extend(out)

    def add_saved(self, rows: npt.NDArray[np.float32], out: Residues) -> None:
        """Add canonical numbers that `save` kept to ones that are only going to be written."""
        saved = rows.reshape(len(rows), self.parts, self.rows_b).transpose(1, 2, 0)
        np.copyto(self._product_b[..., : len(rows)], saved)
        eta = out.b[:, : self.rows_b]
        np.add(eta, self._product_b, out=self._product_b)
        self._reduce_b(self._product_b, eta)

    def write(self, x: Residues, limbs: Floats, quotients: Floats) -> None:
        """Every part less a multiple of N, in limbs that are still to be carried.

        Args:
            x: The numbers; their spare rows are used.
            limbs: Out, (s+1, out_limbs, n): part m less c_m·N lies in [0, N), but for errors that `quotients`
                shows.
            quotients: Out, (s+1, 1, n): part m over N, whose floor c_m is.
        """
        eta, beta, carry = self._rows(x)
        self._matmul(self._beta_row, eta, beta)
        np.rint(beta, out=self._row)
        np.subtract(beta, self._row, out=quotients)
        np.copyto(beta, self._row)
        np.multiply(quotients, self.ring.constants.b_over_n, out=quotients)
        np.floor(quotients, out=carry)
        self._matmul(self.ring.constants.written, x.b, limbs)

    def _rows(self, x: Residues) -> tuple[Floats, Floats, Floats]:
        k = self.rows_b
        return x.b[:, :k], x.b[:, k : k + 1], x.b[:, k + 1 :]

    def _products(self, x: Floats, y: Floats, out: Floats, scratch: Floats) -> Floats:
        """out_m = Σ_l x_l·y_{m−l}, for all parts."""
        np.multiply(x, y[0], out=out)
        for shift in range(1, self.parts):
            term = scratch[shift:]
            np.multiply(x[: self.parts - shift], y[shift], out=term)
            np.add(out[shift:], term, out=out[shift:])
        return out

    def _squared_a(self, x: Floats) -> Floats:
        """ξ of a square: the carry of each part goes into the next."""
        xi, term = self._product_a, self._scratch_a[0]
        for part in range(self.parts):
            self._part_of_square(x, x, part, xi[part], term)
            if part:
                np.multiply(xi[part - 1], self._n_inverse_a, out=term)
                np.add(xi[part], term, out=xi[part])
            self._reduce_a(xi[part], xi[part])
        return xi

    def _squared_b(self, x: Floats, extended: Floats, z: Floats) -> None:
        """The parts of a square in B, from G₁·ξ, which is used up; z may be x, which is read first."""
        ready, term = self._multiples_b, self._scratch_b[0]
        for part in range(self.ring.degree // 2 + 1):
            np.multiply(x[part], self._ready_b, out=ready[part])
            self._reduce_b(ready[part], ready[part])
        squares = self._squares_b
        for part in range(self.parts):
            self._part_of_square(x, ready, part, squares[part], term)
        for part in range(self.parts):
            if part:
                np.multiply(extended[part - 1], self._n_inverse_b[0], out=term)
                np.subtract(squares[part], term, out=squares[part])
            if part < self.parts - 1:
                self._reduce_b(extended[part], extended[part])
            np.add(extended[part], squares[part], out=squares[part])
            self._reduce_b(squares[part], z[part])

    def _part_of_square(self, x: Floats, y: Floats, part: int, out: Floats, term: Floats) -> None:
        """Set out = Σ_l x_{part−l}·y_l, where y is a multiple of x: each pair once, doubled."""
        np.multiply(x[part], y[0], out=out)
        if part == 0:
            return
        for lower in range(1, (part + 1) // 2):
            np.multiply(x[part - lower], y[lower], out=term)
            np.add(out, term, out=out)
        np.add(out, out, out=out)
        if part % 2 == 0:
            np.multiply(x[part // 2], y[part // 2], out=term)
            np.add(out, term, out=out)

    def _extend(self, x: Residues) -> None:
        """From base B to base A, exactly."""
        eta, beta, _ = self._rows(x)
        self._matmul(self._beta_row, eta, beta)
        np.rint(beta, out=beta)
        self._matmul(self._to_a, x.b[:, : self.rows_b + 1], self._product_a)
        self._reduce_a(self._product_a, x.a)

    def _reduce_a(self, x: Floats, out: Floats) -> None:
        _reduce(x, self._a, self._a_inverse, self._scratch_a if x.ndim == 3 else self._scratch_a[0], out)

    def _reduce_b(self, x: Floats, out: Floats) -> None:
        _reduce(x, self._b, self._b_inverse, self._scratch_b if x.ndim == 3 else self._scratch_b[0], out)

    def _matmul(self, matrix: Floats, x: Floats, out: Floats) -> None:
        """Set out = matrix·x, in slices of columns that BLAS likes."""
        columns = self.columns
        limit = max(8, SMALL_PRODUCT // matrix.size // 8 * 8)
        if columns <= limit or matrix.shape[0] == 1:
            np.matmul(matrix, x, out=out)
            return
        step = -(-columns // (-(-columns // limit) * 8)) * 8
        for start in range(0, columns, step):
            np.matmul(matrix, x[..., start : start + step], out=out[..., start : start + step])

    def _expand(self, column: npt.ArrayLike) -> Floats:
        values = np.asarray(column, dtype=np.float64)
        expanded = _room((len(values), self.columns))
        np.copyto(expanded, values[:, None])
        return expanded


def _room(shape: tuple[int, ...]) -> Floats:
    """Zeros that start on a cache line: vector loads that cross lines cost a quarter more."""
    size = 8 * math.prod(shape)
    octets = np.zeros(size + _CACHE_LINE, dtype=np.uint8)
    start = -octets.ctypes.data % _CACHE_LINE
    return octets[start : start + size].view(np.float64).reshape(shape)


def _reduce(x: Floats, primes: Floats, inverses: Floats, scratch: Floats, out: Floats) -> None:
    """Set out = x − m·rint(x/m), |out| ≤ m/2 + 2, for integers |x| ≤ `bounds.REDUCIBLE`."""
    np.multiply(x, inverses, out=scratch)
    np.rint(scratch, out=scratch)
    np.multiply(scratch, primes, out=scratch)
    np.subtract(x, scratch, out=out)
