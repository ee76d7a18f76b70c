"""What colluding parties can compute from everything that they know: the strongest reading of one sealed
vector."""

from collections.abc import Mapping, Sequence

from kapok.protocols.masking.pairwise import MaskKey
from kapok.protocols.secure_sum import sealing, tag
from kapok.protocols.secure_sum.holder import SealedContribution
from kapok.protocols.secure_sum.roster import Roster
from kapok.protocols.words import WordVector
from support.masks import Mask, expand
from support.parties import Exchange


def masked_words(job: Exchange, sealed: SealedContribution) -> tuple[WordVector, int]:
    """The masked words and the masked tag word of a vector, decrypted by the colluding analyst."""
    body = b"".join(sealed.chunks)
    if job.result_key is not None:
        from kapok.protocols.paillier.vector import CiphertextVector
        from kapok.protocols.secure_sum.vector import layout

        ciphertexts = CiphertextVector.from_body(job.result_key.public, body)
        members = len(sealed.record.members)
        return layout(job.terms, members).unpack(job.result_key.decrypt(ciphertexts))
    end = len(body) - job.terms.tag_bits // 8
    return WordVector.from_bytes(body[:end], job.terms.word_bits), int.from_bytes(body[end:], "little")


def own_mask(job: Exchange, sealed: SealedContribution) -> Mask:
    """The mask that the victim's release gives to the receiver."""
    record = sealed.record
    b = job.receiver_key.unwrap(record.release, sealing.release_info(record.context, record.name))
    return mask_of(job, sealing.own_key(b, record.context, record.name))


def mask_of(job: Exchange, key: bytes) -> Mask:
    """The mask that a key expands to under the terms of a job."""
    return expand(key, count=job.terms.words, bits=job.terms.word_bits)


def strip(
    job: Exchange,
    roster: Roster,
    sealed: SealedContribution,
    keys: Mapping[str, MaskKey],
    *,
    seed: bytes | None = None,
) -> list[int]:
    """Take away from a victim's vector all that the colluding members' mask keys and the receiver's key give.

    What is left is the contribution plus the masks that the victim shares with members who are not in `keys`.
    """
    record = sealed.record
    victim = roster.member(record.name)
    words, _ = masked_words(job, sealed)
    commitment = tag.commitment(job.tag_seed if seed is None else seed, record.context)
    left = words.subtract(own_mask(job, sealed).words)
    for other in roster.members:
        if other.name not in keys:
            continue
        before = roster.names.index(other.name) < roster.names.index(victim.name)
        pair = (other, victim) if before else (victim, other)
        info = sealing.pair_info(record.context, commitment, *pair)
        mask = mask_of(job, keys[other.name].agree(victim.mask_key, info, party=victim.name))
        left = left.add(mask.words) if before else left.subtract(mask.words)
    return left.to_integers()


def mask_keys(job: Exchange, indices: Sequence[int]) -> dict[str, MaskKey]:
    """The private mask keys of members who collude."""
    return {job.names[index]: job.holders[index]._mask_key for index in indices}
