"""The aggregator: checks what holders send, adds what it cannot read, and keeps nothing itself.

    consents ──▶ open_roster            who takes part; any holder may still refuse it
    seal     ──▶ check_seal             the signed digests, before a byte of the vector is taken
    chunks   ──▶ check_chunks           each of its proper length, ciphertexts canonical
             ──▶ check_vector           the digest of all chunks is the one that was signed
    chunks of one index, all members ──▶ fold   ──▶ the chunk of the sum
    release  ──▶ read_release           of this attempt, signed by a member
             ──▶ check_committed        it is the one that the seal committed to (both: check_release)

It sees names, sizes and times, and adds numbers that are masked (and, under ``paillier``, encrypted). Its
caller keeps the state, durably. A wrong message is refused with the name of who signed it, and changes
nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from kapok.errors import PeerProtocolError
from kapok.protocols.paillier import scheme
from kapok.protocols.paillier.digits import are_canonical, are_units
from kapok.protocols.paillier.vector import CiphertextVector
from kapok.protocols.secure_sum.context import Context
from kapok.protocols.secure_sum.messages import (
    RELEASE_TYP,
    SEAL_TYP,
    ReleaseStatement,
    SealStatement,
    read,
)
from kapok.protocols.secure_sum.params import SumTerms, Verifier
from kapok.protocols.secure_sum.roster import Roster, read_roster
from kapok.protocols.secure_sum.vector import chunk_bytes, chunk_lengths, degree, result_key, vector_bytes
from kapok.protocols.words import WordVector

__all__ = [
    "check_chunks",
    "check_committed",
    "check_release",
    "check_seal",
    "check_vector",
    "chunk_bytes",
    "chunk_lengths",
    "fold",
    "open_roster",
    "read_release",
    "vector_bytes",
]


def open_roster(terms: SumTerms, consents: Sequence[str], verifier: Verifier) -> Roster:
    """Make the roster of an attempt from its members' signed consents, in any order.

    Raises:
        IdentityInvalid: a signature, a certificate or a `typ` is wrong.
        PeerProtocolError: a consent is malformed, for another job, or has a name or key that occurs twice.
        CohortTooSmall: too few organisations for the specification.
    """
    return read_roster(terms, consents, verifier)


def check_seal(
    terms: SumTerms,
    roster: Roster,
    round: int,  # noqa: A002
    attempt: int,
    token: str,
    verifier: Verifier,
    *,
    params_hash: bytes | None = None,
) -> SealStatement:
    """Read a holder's seal statement for one attempt.

    Args:
        terms: The job's terms.
        roster: The attempt's roster.
        round: The attempt's round.
        attempt: Its number.
        token: The signed statement.
        verifier: Verifies it.
        params_hash: If given, the parameters hash that it must have; whoever disagrees turns the sum into
            noise.

    Raises:
        IdentityInvalid: signature, certificate or `typ` are wrong.
        PeerProtocolError: ``bad_statement``, ``not_in_roster``, ``wrong_attempt`` or ``wrong_parameters``,
            naming the party.
    """
    statement, signed = read(SealStatement, SEAL_TYP, token, verifier)
    roster.signer(signed)
    _check_attempt(terms, roster, round, attempt, statement)
    if params_hash is not None and statement.params != params_hash:
        raise PeerProtocolError(
            f"{statement.name} computed from other parameters than the analyst's",
            code="wrong_parameters",
            party=statement.name,
        )
    return statement


def check_chunks(terms: SumTerms, chunks: Sequence[bytes], *, party: str | None = None) -> None:
    """Check some chunks of a sealed vector by themselves; their places are checked by `chunk_lengths`.

    Whether a ciphertext shares a factor with the key shows when chunks are folded: there one product tells it
    for all members, here it would take one for each. Only 0, which nobody needs a factor for, is refused now.

    Raises:
        PeerProtocolError: ``bad_chunk`` for a length that no chunk can have, ``bad_ciphertext`` when a
            ciphertext is not in its canonical form.
    """
    for chunk in chunks:
        _check_length(terms, chunk, party)
    if terms.result_key is None or not chunks:
        return
    key = result_key(terms)
    for chunk in chunks:
        digits = _ciphertexts(terms, chunk).digits(key)
        if not are_canonical(key, digits) or not digits[:, 0].any(axis=1).all():
            raise PeerProtocolError(
                "a sealed vector has a ciphertext that is not in its canonical form",
                code="bad_ciphertext",
                party=party,
            )


def check_vector(seal: SealStatement, sha256: bytes) -> None:
    """Check the digest of all chunks of a vector, in order, against the holder's signed statement.

    Raises:
        PeerProtocolError: ``digest_differs`` naming the party.
    """
    if sha256 != seal.vector_sha256:
        raise PeerProtocolError(
            f"the vector that came from {seal.name} is not the one that it signed",
            code="digest_differs",
            party=seal.name,
        )


def fold(terms: SumTerms, chunks: Sequence[bytes], *, parties: Sequence[str] = ()) -> bytes:
    """Add the chunks that have the same index in all members' vectors; the result is that chunk of the sum.

    Words add modulo 2^b, the tag word modulo 2^(b+64), ciphertexts multiply modulo N^(s+1). Adding the sum
    of some members to further members' chunks gives the same as adding all at once.

    Args:
        terms: The job's terms.
        chunks: One for each member.
        parties: Whose they are, in the same order, where the error is to name one.

    Raises:
        PeerProtocolError: ``bad_chunk`` when the lengths differ, are none, or are not those of a chunk;
            ``bad_ciphertext`` when a ciphertext is not canonical, or shares a factor with the key: that names
            the party.
    """
    if not chunks or len({len(chunk) for chunk in chunks}) != 1:
        raise _bad_chunk(None)
    _check_length(terms, chunks[0], None)
    if terms.result_key is not None:
        vectors = [_ciphertexts(terms, chunk) for chunk in chunks]
        try:
            return scheme.add(result_key(terms), vectors).body
        except PeerProtocolError:
            _name_culprit(terms, vectors, parties)
            raise
    bits = terms.tag_bits if len(chunks[0]) == terms.tag_bits // 8 else terms.word_bits
    first, *others = (WordVector.from_bytes(chunk, bits) for chunk in chunks)
    return first.add(*others).to_bytes()


def read_release(
    terms: SumTerms,
    roster: Roster,
    round: int,  # noqa: A002
    attempt: int,
    token: str,
    verifier: Verifier,
) -> ReleaseStatement:
    """Read a holder's release for one attempt; `check_committed` holds it against the holder's seal.

    Raises:
        IdentityInvalid: signature, certificate or `typ` are wrong.
        PeerProtocolError: ``bad_statement``, ``not_in_roster`` or ``wrong_attempt``, naming the party.
    """
    statement, signed = read(ReleaseStatement, RELEASE_TYP, token, verifier)
    roster.signer(signed)
    _check_attempt(terms, roster, round, attempt, statement)
    return statement


def check_committed(seal: SealStatement, release: ReleaseStatement) -> None:
    """Hold a release that was read against the commitment in the same holder's checked seal statement.

    Raises:
        PeerProtocolError: ``release_differs`` naming the party.
    """
    same = (release.name, release.context) == (seal.name, seal.context)
    if not same or hashlib.sha256(release.release).digest() != seal.release_sha256:
        raise PeerProtocolError(
            f"the release of {release.name} is not the one that its seal committed to",
            code="release_differs",
            party=release.name,
        )


def check_release(
    terms: SumTerms,
    roster: Roster,
    round: int,  # noqa: A002
    attempt: int,
    seal: SealStatement,
    token: str,
    verifier: Verifier,
) -> ReleaseStatement:
    """Read a holder's release for one attempt, and hold it against the commitment in its seal.

    Args:
        terms: The job's terms.
        roster: The attempt's roster.
        round: The attempt's round.
        attempt: Its number.
        seal: The same holder's checked seal statement.
        token: The signed release statement.
        verifier: Verifies it.

    Raises:
        IdentityInvalid: signature, certificate or `typ` are wrong.
        PeerProtocolError: ``bad_statement``, ``not_in_roster``, ``wrong_attempt`` or ``release_differs``,
            naming the party.
    """
    statement = read_release(terms, roster, round, attempt, token, verifier)
    check_committed(seal, statement)
    return statement


def _check_attempt(
    terms: SumTerms,
    roster: Roster,
    round: int,  # noqa: A002
    attempt: int,
    statement: SealStatement | ReleaseStatement,
) -> None:
    context = Context(
        job_id=terms.job_id,
        round=round,
        attempt=attempt,
        roster_hash=roster.hash,
        params_hash=statement.params,
    )
    if statement.context != context or round > terms.rounds:
        raise PeerProtocolError(
            f"{statement.name} signed for another job, round, attempt or roster than this one",
            code="wrong_attempt",
            party=statement.name,
        )


def _ciphertexts(terms: SumTerms, chunk: bytes) -> CiphertextVector:
    """The ciphertexts of a chunk whose length has been checked; of them, nothing has."""
    key, s = result_key(terms), degree(terms)
    return CiphertextVector(key.key_id, s, len(chunk) // key.ciphertext_bytes(s), chunk)


def _name_culprit(terms: SumTerms, vectors: Sequence[CiphertextVector], parties: Sequence[str]) -> None:
    """Raise whose ciphertexts share a factor with the key. For another fault than that nobody is named."""
    key = result_key(terms)
    for party, vector in zip(parties, vectors, strict=False):
        digits = vector.digits(key)
        if are_canonical(key, digits) and not are_units(key, digits):
            raise PeerProtocolError(
                f"a ciphertext of {party} shares a factor with the result key",
                code="bad_ciphertext",
                party=party,
            ) from None


def _check_length(terms: SumTerms, chunk: bytes, party: str | None) -> None:
    if terms.result_key is None:
        element, tag = terms.word_bits // 8, terms.tag_bits // 8
    else:
        element, tag = result_key(terms).ciphertext_bytes(degree(terms)), None
    whole = 0 < len(chunk) <= chunk_bytes(terms) and len(chunk) % element == 0
    if not whole and len(chunk) != tag:
        raise _bad_chunk(party)


def _bad_chunk(party: str | None) -> PeerProtocolError:
    return PeerProtocolError("a chunk of a sealed vector has a wrong length", code="bad_chunk", party=party)
