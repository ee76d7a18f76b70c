"""Masks by their definition: the whole stream at once, one Python integer for each word.

AES in counter mode is written out with single blocks, so that nothing is shared with what is tested.
"""

from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from kapok.protocols.words import WordVector


@dataclass(frozen=True)
class Mask:
    """G(key): the mask of all words, and that of the tag."""

    words: WordVector
    tag: int


def stream(key: bytes, length: int) -> bytes:
    """The first bytes of AES-256-CTR from zero: the blocks 0, 1, 2, … each encrypted by itself."""
    counters = b"".join(number.to_bytes(16, "big") for number in range(-(-length // 16)))
    return Cipher(AES(key), ECB()).encryptor().update(counters)[:length]


def integers(body: bytes, width: int) -> list[int]:
    """Little-endian words of `width` bytes."""
    return [int.from_bytes(body[start : start + width], "little") for start in range(0, len(body), width)]


def expand(key: bytes, *, count: int, bits: int) -> Mask:
    """`count` words of `bits` bits, then one of 64 more for the tag."""
    width = bits // 8
    body = stream(key, (count + 1) * width + 8)
    words = integers(body[: count * width], width)
    return Mask(
        WordVector.from_integers(words, bits, signed=False), int.from_bytes(body[count * width :], "little")
    )
