"""The tag: one word that the sum must agree with, so that nobody without the seed can shift it unnoticed.

    T_i = Σ_l a_l · x_l  mod 2^(b+64)          over the signed integers x_l as sent
    a_l uniform below 2^(b+64), expanded from (seed; job, round, attempt, roster hash)

Linear, so the sum of all tags is the tag of the sum. A shift d of one word, 0 < |d| < 2^b, changes the tag by
a_l·d, which takes any one value with probability at most 2^-64 whatever power of two divides d. A prime
modulus below 2^b would let its own multiples pass; a sum of tags that is not reduced would carry over into
bits that tell single
contributions: tags are reduced here and masked by a word of their whole width.

All holders of a roster use the same seed. Were they given different ones, tag and sum together would be as
many equations as there are contributions: `commitment` therefore goes into every pairwise mask, and holders
whose seeds differ produce noise.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from kapok.errors import LocalProtocolError
from kapok.protocols.masking.expansion import keystream
from kapok.protocols.masking.pairwise import derive
from kapok.protocols.secure_sum.framing import framed, label
from kapok.protocols.secure_sum.params import TAG_EXTRA_BITS
from kapok.protocols.secure_sum.roster import Context
from kapok.protocols.sizes import TAG_SEED_BYTES
from kapok.protocols.words import WordVector

__all__ = ["commitment", "tag_of", "tag_seed_info"]

_LIMB_BITS: Final = 16
# Products of 16-bit limbs are below 2^32: a block of them adds up below 2^45, far from 2^53 where float64
# rounds, and MOST_WORDS = 2^28 of them below 2^60, which int64 holds.
_BLOCK_WORDS: Final = 1 << 13


def tag_seed_info(dataset_hash: bytes, nonce: bytes, member_name: str) -> bytes:
    """The HPKE info under which an analyst wraps a one-round job's tag seed to one member's joining key."""
    return framed(label("tag-seed"), dataset_hash, nonce, member_name)


def commitment(seed: bytes, context: Context) -> bytes:
    """What stands for the seed in the pairwise masks' derivation, 32 bytes; tells nothing about the seed.

    Raises:
        LocalProtocolError: ``bad_tag_seed`` when the seed is not 32 bytes.
    """
    _check_seed(seed)
    return derive(seed, framed(label("tag-commitment"), context.encode()))


def tag_of(words: WordVector, seed: bytes, context: Context) -> int:
    """The tag of a vector of signed words, an integer below 2^(b+64).

    Args:
        words: The data words of a contribution, or of the sum.
        seed: 32 bytes, known to the analyst and the holders only.
        context: The attempt; the parameters hash in it does not enter.

    Raises:
        LocalProtocolError: ``bad_tag_seed`` when the seed is not 32 bytes.
    """
    _check_seed(seed)
    key = derive(
        seed,
        framed(
            label("tag-coefficients"), context.job_id, context.round, context.attempt, context.roster_hash
        ),
    )
    tag_bytes, word_bytes = (words.bits + TAG_EXTRA_BITS) // 8, words.bits // 8
    blocks = list(words.blocks(_BLOCK_WORDS))
    coefficients = keystream(key, [len(block) // word_bytes * tag_bytes for block in blocks])
    products = np.zeros((_limb_count(word_bytes), _limb_count(tag_bytes)), dtype=np.int64)
    for block in blocks:
        products += _products(next(coefficients), tag_bytes, block, word_bytes)
    total = sum(
        product << (_LIMB_BITS * (row + column))
        for row, line in enumerate(products.tolist())
        for column, product in enumerate(line)
    )
    return total % (1 << (8 * tag_bytes))


def _products(
    coefficients: bytes, tag_bytes: int, words: bytes | memoryview, word_bytes: int
) -> npt.NDArray[np.int64]:
    """Σ a_l·x_l limb by limb, for at most `_BLOCK_WORDS` of each: shape (limbs of x, limbs of a).

    By two's complement a word is the sum of its limbs if the highest one is read as signed.
    """
    a = _limbs(coefficients, tag_bytes, highest="u")
    x = _limbs(words, word_bytes, highest="i")
    return (x.T @ a).astype(np.int64)


def _limbs(body: bytes | memoryview, width: int, *, highest: str) -> npt.NDArray[np.float64]:
    """Little-endian words of `width` bytes as 16-bit limbs, lowest first; an odd width leaves one of 8 bits.

    Args:
        body: The words.
        width: Bytes of a word.
        highest: How the highest limb is read: "u" as unsigned, "i" as signed; all others are unsigned.

    Returns:
        Shape (count, ⌈width/2⌉), float64.
    """
    octets = np.frombuffer(body, dtype=np.uint8).reshape(-1, width)
    if highest == "u" and width % 2 == 0:
        return octets.view("<u2").astype(np.float64)
    limbs = np.empty((_limb_count(width), len(octets)))
    for limb, start in enumerate(range(0, width, 2)):
        piece = octets[:, start : start + 2]
        kind = highest if start + 2 >= width else "u"
        limbs[limb] = piece.view(f"<{kind}{piece.shape[1]}")[:, 0]
    return limbs.T


def _limb_count(width: int) -> int:
    return -(-width // 2)


def _check_seed(seed: bytes) -> None:
    if len(seed) != TAG_SEED_BYTES:
        raise LocalProtocolError(f"a tag seed is {TAG_SEED_BYTES} bytes", code="bad_tag_seed")
