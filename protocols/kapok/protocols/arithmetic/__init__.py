"""Arithmetic modulo N^(s+1) for whole batches: float64 residues, BLAS, no Python integer per value.

    digits (count, s+1, width) uint8 ──read──▶ residues in two bases ──products──▶ residues ──write──▶ digits

An element is its s+1 N-adic digits, c = c₀ + c₁N + … + c_sN^s, each of `Ring.width` little-endian bytes and
canonical, in [0, N): just as ciphertexts travel. What comes in otherwise is refused, what goes out is
canonical.

| room | what is in it |
|---|---|
| `bounds` | why float64 is exact here, and the check of it for the constants in use |
| `bases` | the primes of the two bases; the constants that tie a modulus to them |
| `ring`, `kernel` | `Ring`; the products of a block of columns (`Kernel`) |
| `digits` | bytes to limbs and back, canonical; integers, to exchange with other libraries |
| `chunks` | chunks of blocks, BLAS at one thread |
| `process_pool` | processes on other cores that take chunks of powers (`worker_process`) |
| `products` | `multiply`, `product` of many vectors, `Product` as a stream, `product_of_all` |
| `powers` | `power` with one exponent for all, `power_each` |
| `tables` | `FixedBase`: powers of one base from tables; `Comb`, their layout |
| `binomials` | (1+N)^m |

No operand's value decides which steps are taken, but for these: entries of tables are fetched by secret
exponents, and digits that come to lie next to 0 or N when they are written are compared with both.
"""

from kapok.protocols.arithmetic.binomials import Factors, one_plus_n_power, times_one_plus_n_power
from kapok.protocols.arithmetic.digits import Digits, check_digits, from_integers, is_canonical, to_integers
from kapok.protocols.arithmetic.powers import power, power_each
from kapok.protocols.arithmetic.process_pool import available_cores
from kapok.protocols.arithmetic.products import Product, multiply, product, product_of_all
from kapok.protocols.arithmetic.ring import Ring
from kapok.protocols.arithmetic.tables import Comb, FixedBase

__all__ = [
    "Comb",
    "Digits",
    "Factors",
    "FixedBase",
    "Product",
    "Ring",
    "available_cores",
    "check_digits",
    "from_integers",
    "is_canonical",
    "multiply",
    "one_plus_n_power",
    "power",
    "power_each",
    "product",
    "product_of_all",
    "times_one_plus_n_power",
    "to_integers",
]
