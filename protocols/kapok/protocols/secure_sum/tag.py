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
from kapok.protocols.words import WordVector

__all__ = ["SEED_BYTES", "commitment", "tag_of", "tag_seed_info"]

SEED_BYTES: Final = 32
_LIMB_BITS: Final = 16
# Products of 16-bit limbs are below 2^32: 2^16 of them add up below 2^48, far from 2^53 where float64 rounds.
_BLOCK_WORDS: Final = 1 << 16


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
    tag_bytes = (words.bits + TAG_EXTRA_BITS) // 8
    word_bytes = words.bits // 8
    body = words.to_bytes()
    total, start = 0, 0
    for piece in keystream(key, len(words) * tag_bytes, block=_BLOCK_WORDS * tag_bytes):
        end = start + len(piece) // tag_bytes * word_bytes
        total += _dot(piece, tag_bytes, body[start:end], word_bytes)
        start = end
    return total % (1 << (8 * tag_bytes))


def _dot(coefficients: bytes, coefficient_bytes: int, words: bytes, word_bytes: int) -> int:
    """Σ a_l·x_l: a_l unsigned, x_l signed, both little-endian bytes, at most `_BLOCK_WORDS` of each."""
    left = _limbs(coefficients, coefficient_bytes)
    right = _limbs(words, word_bytes)
    # Two's complement: x = (bits read as unsigned) − 2^b·(highest bit).
    highest = np.frombuffer(words, dtype=np.uint8).reshape(-1, word_bytes)[:, -1] >> 7
    products = left.T @ np.column_stack([right, highest.astype(np.float64)])
    weights = [1 << (_LIMB_BITS * limb) for limb in range(right.shape[1])] + [-(1 << (8 * word_bytes))]
    return sum(
        (int(product) << (_LIMB_BITS * row)) * weight
        for row, line in enumerate(products.tolist())
        for product, weight in zip(line, weights, strict=True)
    )


def _limbs(body: bytes, width: int) -> npt.NDArray[np.float64]:
    """Little-endian words of `width` bytes as 16-bit limbs: shape (count, ⌈width/2⌉), float64."""
    octets = np.frombuffer(body, dtype=np.uint8).reshape(-1, width)
    if width % 2:
        octets = np.pad(octets, ((0, 0), (0, 1)))
    return np.ascontiguousarray(octets).view("<u2").astype(np.float64)


def _check_seed(seed: bytes) -> None:
    if len(seed) != SEED_BYTES:
        raise LocalProtocolError(f"a tag seed is {SEED_BYTES} bytes", code="bad_tag_seed")
