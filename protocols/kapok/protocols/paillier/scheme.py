"""Encrypting, adding and scaling vectors."""

from __future__ import annotations

from collections.abc import Sequence

from kapok.protocols.paillier import plain
from kapok.protocols.paillier.plaintexts import PlaintextVector
from kapok.protocols.paillier.public import PublicKey
from kapok.protocols.paillier.vector import CiphertextVector

__all__ = ["add", "encrypt"]


def encrypt(key: PublicKey, plaintexts: PlaintextVector) -> CiphertextVector:
    """Encrypt a vector, each plaintext with fresh randomness.

    Raises:
        InvalidInput: code ``plaintext_overflow`` for a digit that is not below N or of another width.
    """
    return plain.encrypt(key, plaintexts.to_integers(key), plaintexts.degree)


def add(key: PublicKey, vectors: Sequence[CiphertextVector]) -> CiphertextVector:
    """Add encrypted vectors, element by element.

    Raises:
        InvalidInput: code ``no_vectors`` for none at all.
        PeerProtocolError: code ``wrong_result_key`` for a vector under another key, ``bad_ciphertext`` for
            one that is malformed or has another length or degree.
    """
    return plain.add(key, vectors)
