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

from collections.abc import Iterator
from typing import Final

from kapok.protocols.masking.expansion import MaskStream, expand
from kapok.protocols.masking.pairwise import MaskKey, derive
from kapok.protocols.secure_sum import tag
from kapok.protocols.secure_sum.framing import framed, label
from kapok.protocols.secure_sum.params import SumTerms
from kapok.protocols.secure_sum.roster import Context, Member, Roster
from kapok.protocols.words import WordVector

__all__ = ["B_BYTES", "mask", "own_mask", "pair_info", "release_info", "unmask"]

B_BYTES: Final = 32
"""Length of b, the secret that a release opens."""


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


def own_mask(b: bytes, context: Context, name: str, terms: SumTerms) -> MaskStream:
    """G(κ), the mask that its release takes away."""
    return _stream(derive(b, framed(label("own-mask"), context.encode(), name)), terms)


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
    total = tag.tag_of(contribution, tag_seed, context)
    position = roster.names.index(name)
    seed_commitment = tag.commitment(tag_seed, context)
    tags: list[int] = []

    def streams(members: tuple[Member, ...], sign: int) -> Iterator[WordVector]:
        for other in members:
            stream = _stream(
                _pair_key(roster.members[position], other, sign, key, context, seed_commitment), terms
            )
            tags.append(sign * stream.tag)
            yield stream.words

    own = own_mask(b, context, name, terms)
    before, after = roster.members[:position], roster.members[position + 1 :]
    words = contribution.add(own.words).accumulate(plus=streams(after, 1), minus=streams(before, -1))
    return words, (total + own.tag + sum(tags)) % (1 << terms.tag_bits)


def unmask(
    terms: SumTerms, words: WordVector, tag_word: int, masks: Iterator[MaskStream]
) -> tuple[WordVector, int]:
    """Take the members' own masks away from a sum."""
    tags: list[int] = []

    def streams() -> Iterator[WordVector]:
        for stream in masks:
            tags.append(stream.tag)
            yield stream.words

    bare = words.accumulate(minus=streams())
    return bare, (tag_word - sum(tags)) % (1 << terms.tag_bits)


def _pair_key(
    own: Member, other: Member, sign: int, key: MaskKey, context: Context, seed_commitment: bytes
) -> bytes:
    first, second = (own, other) if sign > 0 else (other, own)
    return key.agree(other.mask_key, pair_info(context, seed_commitment, first, second), party=other.name)


def _stream(key: bytes, terms: SumTerms) -> MaskStream:
    return expand(key, count=terms.words, bits=terms.word_bits, tag_bits=terms.tag_bits)
