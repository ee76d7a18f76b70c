"""Vectors of ciphertexts: encrypt, add, multiply by integers.

Two ways give the same results: `plain` on Python integers, `vectorised` on whole arrays. Which one is taken
depends on lengths alone, by thresholds that were measured at 2048 and 3072 bits: a single ciphertext is
encrypted as fast without a table as with a new one (140 ms and 165 ms at 3072 bits; the fourth with it
takes 15 ms), and to gather fewer than two dozen ciphertexts into arrays takes longer than to multiply them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kapok.errors import InvalidInput, PeerProtocolError
from kapok.protocols.paillier import plain, vectorised
from kapok.protocols.paillier.plaintexts import PlaintextVector
from kapok.protocols.paillier.public import PublicKey
from kapok.protocols.paillier.vector import CiphertextVector

__all__ = ["add", "encrypt", "scale"]

_FEWEST_ENCRYPTED: Final = 2
_FEWEST_PRODUCTS: Final = 24
_FEWEST_SCALED: Final = 4


def encrypt(key: PublicKey, plaintexts: PlaintextVector, *, expected: int | None = None) -> CiphertextVector:
    """Encrypt a vector, each plaintext with fresh randomness.

    Args:
        key: The public key.
        plaintexts: The plaintexts.
        expected: Ciphertexts that are to be made in all, where this vector is a part of a longer one.

    Raises:
        InvalidInput: code ``plaintext_overflow`` for a digit that is not below N or of another width.
    """
    expected = max(len(plaintexts), expected or 0)
    if expected < _FEWEST_ENCRYPTED:
        return plain.encrypt(key, plaintexts.to_integers(key), plaintexts.degree)
    return vectorised.encrypt(key, plaintexts, expected)


def add(key: PublicKey, vectors: Sequence[CiphertextVector]) -> CiphertextVector:
    """Add encrypted vectors, element by element; each is checked.

    Raises:
        InvalidInput: code ``no_vectors`` for none at all.
        PeerProtocolError: code ``wrong_result_key`` for a vector under another key, ``bad_ciphertext`` for
            one that is malformed or has another length or degree.
    """
    if not vectors:
        raise InvalidInput("there are no encrypted vectors to add", code="no_vectors")
    first = vectors[0]
    if any((vector.count, vector.degree) != (first.count, first.degree) for vector in vectors):
        raise PeerProtocolError("the sealed vectors differ in length", code="bad_ciphertext")
    if first.count * len(vectors) < _FEWEST_PRODUCTS:
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
        InvalidInput: code ``bad_factors`` for another number of factors.
        PeerProtocolError: as `add`.
    """
    vector.check(key)
    if not isinstance(factors, int) and len(factors) != vector.count:
        raise InvalidInput("there is not one factor for each ciphertext", code="bad_factors")
    if vector.count >= _FEWEST_SCALED:
        return vectorised.scale(key, vector, factors)
    return plain.scale(key, vector, [factors] * vector.count if isinstance(factors, int) else factors)
