"""The generator G: a key in, as many pseudorandom words as a vector has out.

AES-256 in counter mode from a zero counter block (NIST SP 800-38A, section 6.5), read as little-endian words
of b bits; one word of b + 64 bits for the tag follows in the same stream. A key is used for one expansion,
ever: every key comes out of a derivation that is bound to one attempt, so that the zero counter block is
safe.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from kapok.errors.secrecy import NeverPickled
from kapok.protocols.words import WordVector

__all__ = ["MaskStream", "expand", "keystream"]

_BLOCK: Final = bytes(1 << 16)


@dataclass(frozen=True, slots=True)
class MaskStream(NeverPickled):
    """An expansion: `words` (of b bits each) and `tag`, an integer below 2^tag_bits; never printed."""

    words: WordVector = field(repr=False)
    tag: int = field(repr=False)


def expand(key: bytes, *, count: int, bits: int, tag_bits: int) -> MaskStream:
    """Expand a 32-byte key into `count` words of `bits` bits and one of `tag_bits`, both multiples of 8."""
    body = next(keystream(key, count * (bits // 8) + tag_bits // 8, block=0))
    end = len(body) - tag_bits // 8
    return MaskStream(WordVector.from_bytes(body[:end], bits), int.from_bytes(body[end:], "little"))


def keystream(key: bytes, length: int, *, block: int) -> Iterator[bytes]:
    """The first `length` bytes of AES-256-CTR under the key, in pieces of `block` bytes (0: in one)."""
    stream = Cipher(AES(key), CTR(bytes(16))).encryptor()
    block = block or max(length, 1)
    if not length:
        yield b""
    for start in range(0, length, block):
        yield _take(stream, min(block, length - start))


def _take(stream: CipherContext, length: int) -> bytes:
    out = bytearray(length)
    for start in range(0, length, len(_BLOCK)):
        piece = stream.update(_BLOCK[: min(len(_BLOCK), length - start)])
        out[start : start + len(piece)] = piece
    return bytes(out)
