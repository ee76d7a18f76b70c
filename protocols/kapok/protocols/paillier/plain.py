"""Encryption and what it carries over, on plain Python integers: obviously correct, the measure of the rest.

    encrypt: c = (1+N)^m · h_s^a mod N^(s+1), a uniform of the key's exponent bits
    add:     c₁·c₂ mod N^(s+1) encrypts m₁ + m₂ mod N^s
    scale:   c^k mod N^(s+1) encrypts k·m mod N^s

The exponent a comes from the operating system's generator. None takes a private key: holders encrypt, the
broker adds. Sources: Damgård, Jurik, *A generalisation, a simplification and some applications of Paillier's
probabilistic public-key system* (PKC 2001), section 3; Damgård, Jurik, Nielsen 2010.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from kapok.errors import InvalidInput
from kapok.protocols.paillier.public import PublicKey
from kapok.protocols.paillier.vector import CiphertextVector, check_alike

__all__ = ["add", "encrypt", "scale"]


def encrypt(key: PublicKey, plaintexts: Sequence[int], degree: int = 1) -> CiphertextVector:
    """Encrypt integers in [0, N^degree), each with fresh randomness.

    Raises:
        InvalidInput: code ``plaintext_overflow`` for an integer out of [0, N^degree), ``no_plaintexts`` for
            none at all.
    """
    if not plaintexts:
        raise InvalidInput("there is nothing to encrypt", code="no_plaintexts")
    limit, modulus = key.n**degree, key.n ** (degree + 1)
    if any(not 0 <= plaintext < limit for plaintext in plaintexts):
        raise InvalidInput("a plaintext does not fit the result key", code="plaintext_overflow")
    base = key.h_s % modulus
    ciphertexts = [
        one_plus_n_power(key.n, plaintext, degree)
        * pow(base, secrets.randbits(key.exponent_bits), modulus)
        % modulus
        for plaintext in plaintexts
    ]
    return CiphertextVector.from_integers(key, ciphertexts, degree)


def add(key: PublicKey, vectors: Sequence[CiphertextVector]) -> CiphertextVector:
    """Add encrypted vectors, element by element modulo N^s, by multiplying their ciphertexts.

    Raises:
        InvalidInput: code ``no_vectors`` for none at all.
        PeerProtocolError: code ``wrong_result_key`` for a vector under another key, ``bad_ciphertext`` for
            one that is malformed or has another length or degree.
    """
    check_alike(vectors)
    first = vectors[0]
    modulus = key.n ** (first.degree + 1)
    products = first.to_integers(key)
    for vector in vectors[1:]:
        factors = vector.to_integers(key)
        products = [product * factor % modulus for product, factor in zip(products, factors, strict=True)]
    return CiphertextVector.from_integers(key, products, first.degree)


def scale(key: PublicKey, vector: CiphertextVector, factors: Sequence[int]) -> CiphertextVector:
    """Multiply each encrypted number by its own integer, modulo N^s.

    The randomness is raised too, not made anew: whoever has both vectors can test a guess at a factor.

    Args:
        key: The key that they are under.
        vector: The ciphertexts.
        factors: One integer for each, of any sign and size.

    Raises:
        InvalidInput: code ``bad_factors`` for another number of factors.
        PeerProtocolError: as `add`.
    """
    if len(factors) != vector.count:
        raise InvalidInput("there is not one factor for each ciphertext", code="bad_factors")
    modulus = key.n ** (vector.degree + 1)
    powers = [
        pow(ciphertext, factor, modulus)
        for ciphertext, factor in zip(vector.to_integers(key), factors, strict=True)
    ]
    return CiphertextVector.from_integers(key, powers, vector.degree)


def one_plus_n_power(n: int, exponent: int, degree: int) -> int:
    """(1+N)^exponent mod N^(degree+1), by the binomial theorem: what follows its term `degree` is 0."""
    modulus: int = n ** (degree + 1)
    total = binomial = 1
    for index in range(1, degree + 1):
        binomial = binomial * (exponent - index + 1) // index
        total += binomial * n**index
    return total % modulus
