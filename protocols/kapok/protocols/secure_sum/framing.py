"""How fields are joined before they are hashed or bound into a key: each behind its length.

Without the lengths ("ab", "c") and ("a", "bc") would be one and the same string, and two rosters could share
a hash.
"""

from __future__ import annotations

import hashlib
from typing import Final

from kapok.protocols.secure_sum.params import SUITE

__all__ = ["HASH_BYTES", "framed", "hashed", "label"]

HASH_BYTES: Final = 32
_LENGTH_BYTES: Final = 8


def label(purpose: str) -> bytes:
    """The domain label of one purpose, with the suite's name in it."""
    return f"{SUITE}/{purpose}".encode()


def framed(*fields: bytes | str | int) -> bytes:
    """Join fields, each behind its length (8 bytes, big-endian); text as UTF-8, numbers as 8 bytes."""
    out = bytearray()
    for piece in fields:
        match piece:
            case bytes():
                encoded = piece
            case str():
                encoded = piece.encode()
            case int():
                encoded = piece.to_bytes(_LENGTH_BYTES, "big")
        out += len(encoded).to_bytes(_LENGTH_BYTES, "big") + encoded
    return bytes(out)


def hashed(purpose: str, *fields: bytes | str | int) -> bytes:
    """SHA-256 over the domain label and the framed fields, 32 bytes."""
    return hashlib.sha256(framed(label(purpose), *fields)).digest()
