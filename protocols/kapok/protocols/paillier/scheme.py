"""Vectors of ciphertexts: encrypt, add, multiply by integers.

Two ways give the same results: `plain` on Python integers, `vectorised` on whole arrays. Sums and multiples
of few take the first, by thresholds that were measured at 2048 and 3072 bits: to gather fewer than two dozen
ciphertexts into arrays takes longer than to multiply them. Encryption always takes the second: at 3072 bits
the very first ciphertext under a key takes 165 ms with the table that is made for it, and 140 ms on Python
integers; every later one 15 ms at the most.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Final

from kapok.errors import InvalidInput
from kapok.protocols.arithmetic import FixedBase
from kapok.protocols.paillier import plain, tables, vectorised
from kapok.protocols.paillier.digits import ring_of
from kapok.protocols.paillier.plaintexts import PlaintextVector
from kapok.protocols.paillier.public import PublicKey
from kapok.protocols.paillier.vector import CiphertextVector, check_alike

__all__ = ["add", "encrypt", "scale", "table_for"]

_FEWEST_PRODUCTS: Final = 24
_FEWEST_SCALED: Final = 4


def table_for(key: PublicKey, degree: int, expected: int) -> FixedBase:
    """The table with which so many plaintexts will be encrypted: made now, or kept from an earlier time.

    Raises:
        InvalidInput: code ``bad_result_key`` for a key that cannot be used.
    """
    return tables.table_of(key, ring_of(key, degree), expected)


def encrypt(
    key: PublicKey, plaintexts: PlaintextVector, *, table: FixedBase | None = None
) -> CiphertextVector:
    """Encrypt a vector, each plaintext with fresh randomness.

    Args:
        key: The public key.
        plaintexts: The plaintexts.
        table: From `table_for` for this key and the degree of the plaintexts, where the vector is a part of a
            longer one; else it is found here.

    Raises:
        InvalidInput: code ``plaintext_overflow`` for a digit that is not below N or of another width.
    """
    table = table or table_for(key, plaintexts.degree, len(plaintexts))
    return vectorised.encrypt(key, plaintexts, table)


def add(key: PublicKey, vectors: Sequence[CiphertextVector]) -> CiphertextVector:
    """Add encrypted vectors, element by element; each is checked.

    Raises:
        InvalidInput: code ``no_vectors`` for none at all.
        PeerProtocolError: code ``wrong_result_key`` for a vector under another key, ``bad_ciphertext`` for
            one that is malformed or has another length or degree.
    """
    check_alike(vectors)
    if vectors[0].count * len(vectors) < _FEWEST_PRODUCTS:
        return plain.add(key, vectors)
    return vectorised.add(key, vectors)


def scale(key: PublicKey, vector: CiphertextVector, factors: int | Sequence[int]) -> CiphertextVector:
    """Multiply each encrypted number by its own integer, or all by one, modulo N^s.

    The randomness is raised too, not made anew: whoever has both vectors can test a guess at a factor.

    Args:
        key: The key that they are under.
        vector: The ciphertexts; they are checked.
        factors: One integer, or one for each ciphertext; of any sign and size.

    Raises:
        InvalidInput: code ``bad_factors`` for another number of factors, or what is no integer.
        PeerProtocolError: as `add`.
    """
    vector.check(key)
    try:
        each = (
            [operator.index(one) for one in factors]
            if isinstance(factors, Sequence)
            else operator.index(factors)
        )
    except TypeError:
        raise InvalidInput("encrypted numbers are multiplied by integers", code="bad_factors") from None
    if isinstance(each, list) and len(each) != vector.count:
        raise InvalidInput("there is not one factor for each ciphertext", code="bad_factors")
    if vector.count >= _FEWEST_SCALED:
        return vectorised.scale(key, vector, each)
    return plain.scale(key, vector, each if isinstance(each, list) else [each] * vector.count)
