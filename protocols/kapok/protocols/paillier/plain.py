"""Encryption and addition on plain Python integers: obviously correct, the measure for any faster arithmetic.

    encrypt: c = (1+N)^m · h_s^a mod N²,  (1+N)^m = 1 + m·N,  a uniform of ⌈|N|/2⌉ bits
    add:     c₁·c₂ mod N² encrypts m₁ + m₂ mod N

The exponent a comes from the operating system's generator. Neither takes a private key: holders encrypt, the
broker adds. Source: Damgård, Jurik, Nielsen 2010, s = 1.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from kapok.errors import InvalidInput, PeerProtocolError
from kapok.protocols.paillier.public import PublicKey
from kapok.protocols.paillier.vector import CiphertextVector

__all__ = ["add", "encrypt"]


def encrypt(key: PublicKey, plaintexts: Sequence[int]) -> CiphertextVector:
    """Encrypt integers in [0, N), each with fresh randomness.

    Raises:
        InvalidInput: code ``plaintext_overflow`` for an integer out of [0, N), ``no_plaintexts`` for none at
            all.
    """
    if not plaintexts:
        raise InvalidInput("there is nothing to encrypt", code="no_plaintexts")
    if any(not 0 <= plaintext < key.n for plaintext in plaintexts):
        raise InvalidInput("a plaintext does not fit the result key", code="plaintext_overflow")
    return CiphertextVector.from_integers(key, [_encrypted(key, plaintext) for plaintext in plaintexts])


def add(key: PublicKey, vectors: Sequence[CiphertextVector]) -> CiphertextVector:
    """Add encrypted vectors, element by element modulo N, by multiplying their ciphertexts.

    Raises:
        InvalidInput: code ``no_vectors`` for none at all.
        PeerProtocolError: code ``wrong_result_key`` for a vector under another key, ``bad_ciphertext`` for
            one that is malformed or has another length.
    """
    if not vectors:
        raise InvalidInput("there are no encrypted vectors to add", code="no_vectors")
    products = vectors[0].to_integers(key)
    for vector in vectors[1:]:
        if vector.count != len(products):
            raise PeerProtocolError("the sealed vectors differ in length", code="bad_ciphertext")
        factors = vector.to_integers(key)
        products = [
            product * factor % key.n_squared for product, factor in zip(products, factors, strict=True)
        ]
    return CiphertextVector.from_integers(key, products)


def _encrypted(key: PublicKey, plaintext: int) -> int:
    exponent = secrets.randbits(key.exponent_bits)
    return (1 + plaintext * key.n) * pow(key.h_s, exponent, key.n_squared) % key.n_squared
