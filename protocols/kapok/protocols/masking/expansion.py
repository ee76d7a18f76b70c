"""The generator G: a key in, as many pseudorandom words as a vector has out.

AES-256 in counter mode from a zero counter block (NIST SP 800-38A, section 6.5), read as little-endian words
of b bits; one word of b + 64 bits for the tag follows in the same stream. A key is used for one expansion,
ever: every key comes out of a derivation that is bound to one attempt, so that the zero counter block is
safe.

A mask is never in memory as a whole. All streams of a vector are read side by side, one block of the vector
at a time, and added to that block while it is in the processor's cache:

    words   block 0 | block 1 | … | last block | tag
            + G(k)  − G(k')  …      each stream read on from where it was
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from kapok.protocols.word_sum import WordSum
from kapok.protocols.words import WordVector

__all__ = ["keystream", "with_masks"]

# A block of the sum, one of a stream and what the cipher takes for it stay in a cache of 512 KiB.
_BLOCK_BYTES: Final = 1 << 17
_ZEROS: Final = bytes(_BLOCK_BYTES)


def keystream(key: bytes, lengths: Iterable[int]) -> Iterator[bytes]:
    """AES-256-CTR under a 32-byte key from its first byte on, in pieces of these lengths."""
    stream = Cipher(AES(key), CTR(bytes(16))).encryptor()
    for length in lengths:
        yield stream.update(_ZEROS[:length] if length <= len(_ZEROS) else bytes(length))


def with_masks(
    words: WordVector, tag: int, *, tag_bits: int, plus: Iterable[bytes] = (), minus: Iterable[bytes] = ()
) -> tuple[WordVector, int]:
    """Add the masks of all keys in `plus` and take those of all keys in `minus` away.

    Args:
        words: A vector of b-bit words, in clear or masked.
        tag: Its tag, in [0, 2^tag_bits).
        tag_bits: Width of the tag word, a multiple of 8 up to 256.
        plus: Keys of 32 bytes.
        minus: Keys of 32 bytes.

    Returns:
        words + Σ G(plus) − Σ G(minus) modulo 2^b, and so the tag modulo 2^tag_bits.
    """
    word_bytes, tag_bytes = words.bits // 8, tag_bits // 8
    blocks = [(block, word_bytes) for block in words.blocks(_BLOCK_BYTES // word_bytes)]
    blocks.append((memoryview(tag.to_bytes(tag_bytes, "little")), tag_bytes))
    lengths = [len(block) for block, _ in blocks]
    streams = [(WordSum.add, keystream(key, lengths)) for key in plus]
    streams += [(WordSum.subtract, keystream(key, lengths)) for key in minus]
    masked = []
    for block, octets in blocks:
        total = WordSum(block, octets)
        for gather, stream in streams:
            gather(total, next(stream))
        masked.append(total.to_bytes())
    masked_tag = int.from_bytes(masked.pop(), "little")
    return WordVector(words.bits, words.count, b"".join(masked)), masked_tag
