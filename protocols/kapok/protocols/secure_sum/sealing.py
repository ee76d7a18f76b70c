"""The kernel of sealing and unsealing: masks in, masks out. No policy, no signatures.

    y = x + Σ_{j>i} G(k_ij) − Σ_{j<i} G(k_ij) + G(κ_i)   (mod 2^b; the tag word mod 2^(b+64))
    k_ij = HKDF(X25519(i, j); context, seed commitment, name and mask key of both in roster order)
    κ_i  = HKDF(b_i; context, name)          ρ_i = HPKE_R(b_i; context, name)

Pairwise masks cancel in the sum of all members and in nothing less. The context is in every key, so that
nothing of one attempt fits another; the names are, so that a node which registers an honest node's key as its
own gets other keys out of it; context and name are in κ_i, so that a random generator that was cloned with
its machine does not repeat a mask.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from kapok.protocols.masking.expansion import with_masks
from kapok.protocols.masking.pairwise import MaskKey, derive
from kapok.protocols.paillier.pool import ObfuscatorPool
from kapok.protocols.secure_sum import tag, vector
from kapok.protocols.secure_sum.framing import framed, label
from kapok.protocols.secure_sum.params import SumTerms
from kapok.protocols.secure_sum.roster import Context, Member, Roster
from kapok.protocols.words import WordVector

__all__ = ["B_BYTES", "chunks", "mask", "own_key", "pair_info", "release_info", "unmask"]

B_BYTES: Final = 32
"""Length of b, the secret that a release opens."""

# Chunks that are encrypted in one go: enough for the arithmetic to be at its best, and 4 MiB at most.
_CHUNKS_AT_ONCE: Final = 16


def pair_info(context: Context, seed_commitment: bytes, first: Member, second: Member) -> bytes:
    """Everything that two members must agree on to have the same mask; `first` comes first in the roster."""
    return framed(
        label("pairwise-mask"),
        context.encode(),
        seed_commitment,
        first.name,
        first.mask_key,
        second.name,
        second.mask_key,
    )


def release_info(context: Context, name: str) -> bytes:
    """The HPKE info of ρ: whose b it is, and of which attempt."""
    return framed(label("release"), context.encode(), name)


def own_key(b: bytes, context: Context, name: str) -> bytes:
    """κ, the key of the mask that its release takes away, 32 bytes."""
    return derive(b, framed(label("own-mask"), context.encode(), name))


def mask(
    terms: SumTerms,
    roster: Roster,
    context: Context,
    key: MaskKey,
    *,
    name: str,
    b: bytes,
    contribution: WordVector,
    tag_seed: bytes,
) -> tuple[WordVector, int]:
    """Hide a contribution: the masked words and the masked tag word.

    Raises:
        PeerProtocolError: ``bad_mask_key`` naming the member whose key is of small order.
    """
    tag_word = tag.tag_of(contribution, tag_seed, context)
    seed_commitment = tag.commitment(tag_seed, context)
    position = roster.names.index(name)
    own, before, after = roster.members[position], roster.members[:position], roster.members[position + 1 :]

    def pair_key(first: Member, second: Member, other: Member) -> bytes:
        info = pair_info(context, seed_commitment, first, second)
        return key.agree(other.mask_key, info, party=other.name)

    return with_masks(
        contribution,
        tag_word,
        tag_bits=terms.tag_bits,
        plus=[own_key(b, context, name), *(pair_key(own, other, other) for other in after)],
        minus=[pair_key(other, own, other) for other in before],
    )


def chunks(
    terms: SumTerms, members: int, words: WordVector, tag_word: int, pool: ObfuscatorPool | None
) -> Iterator[bytes]:
    """The sealed vector as it travels, chunk by chunk, from masked words and the masked tag word.

    Args:
        terms: The job's terms; their seal says whether the words are encrypted.
        members: Of the roster.
        words: The masked words.
        tag_word: The masked tag word.
        pool: Of the terms' result key, filled or not; under seal ``pad`` there is none.
    """
    if pool is None:
        body, start = memoryview(words.to_bytes()), 0
        for length in vector.chunk_lengths(terms, members)[:-1]:
            yield bytes(body[start : start + length])
            start += length
        yield tag_word.to_bytes(terms.tag_bits // 8, "little")
        return
    layout, full = vector.layout(terms, members), vector.chunk_bytes(terms)
    at_once = _CHUNKS_AT_ONCE * (full // pool.key.ciphertext_bytes(layout.degree))
    for number, block in enumerate(words.blocks(at_once * layout.words_per_plaintext)):
        part = WordVector.from_bytes(bytes(block), words.bits)
        plaintexts = layout.pack_part(part, tag_word, first=number * at_once)
        body = memoryview(pool.encrypt(plaintexts).body)
        for start in range(0, len(body), full):
            yield bytes(body[start : start + full])


def unmask(terms: SumTerms, words: WordVector, tag_word: int, own: Sequence[bytes]) -> tuple[WordVector, int]:
    """Take the members' own masks away from a sum.

    Args:
        terms: The job's terms.
        words: The sum of the masked words.
        tag_word: The sum of the masked tag words, modulo 2^(b+64).
        own: Every member's κ.
    """
    return with_masks(words, tag_word, tag_bits=terms.tag_bits, minus=own)
