"""The analyst: the one party that can open a sum, after checking that it is the sum of exactly one attempt.

    consents, seals, releases, Σ  ◀── broker
    one roster, n seals of one attempt, n releases that match      else: who it was, by name
    Σ y_i, Σ of the masked tags                                    decrypted first, under ``paillier``
    b_i = HPKE⁻¹_R(ρ_i);  Σ x_i = Σ y_i − Σ G(κ_i)  (mod 2^b)      and Σ T_i likewise
    tag of the sum = sum of the tags                               else: SealBroken, no result

What the check can attribute, it attributes: statements, commitments, releases that do not open. A vector with
noise in it, masks that do not cancel, and a sum that the broker shifted all look alike, and nobody is named
for them.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from kapok.errors import InvalidInput, PeerProtocolError, SealBroken
from kapok.errors.secrecy import NeverPickled
from kapok.protocols.paillier.private import PrivateKey
from kapok.protocols.paillier.vector import CiphertextVector
from kapok.protocols.secure_sum import sealing, vector
from kapok.protocols.secure_sum.aggregator import check_committed, check_seal, read_release
from kapok.protocols.secure_sum.context import Context
from kapok.protocols.secure_sum.evidence import Evidence
from kapok.protocols.secure_sum.messages import ReleaseStatement, SealStatement
from kapok.protocols.secure_sum.params import SumTerms, Verifier
from kapok.protocols.secure_sum.roster import Roster, read_roster
from kapok.protocols.secure_sum.tag import tag_of, tag_seed_info
from kapok.protocols.words import WordVector
from kapok.protocols.wraps import WrapKey

__all__ = ["Asked", "MemberReport", "OpenedSum", "open_sum", "tag_seed_info"]


@dataclass(frozen=True, slots=True)
class MemberReport:
    """Who took part, and from which state of its data (an opaque word)."""

    name: str
    organisation: str
    data_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedSum:
    """A sum that has passed every check.

    Attributes:
        vector: The sum of all contributions, to be read as signed words.
        members: Who took part, in roster order.
        round: The round that it answers.
        attempt: The attempt that was opened.
        roster_hash: 32 bytes.
    """

    vector: WordVector = field(repr=False)
    members: tuple[MemberReport, ...]
    round: int
    attempt: int
    roster_hash: bytes

    @property
    def words(self) -> list[int]:
        """The sum as signed Python integers, one for each word, made anew at every call.

        They take ten times the bytes of `vector`; `vector.to_int64()` reads a long sum as an array.
        """
        return self.vector.to_integers()

    @property
    def cohort(self) -> tuple[str, ...]:
        """The names of all who took part, in roster order."""
        return tuple(member.name for member in self.members)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked(NeverPickled):
    """What the analyst knows of a round that it asked for.

    Attributes:
        params_hash: Over question or parameters, as the analyst sent them.
        tag_seed: 32 bytes. Secret.
        receiver_key: Private half of R.
        result_key: Private Paillier key; needed exactly when the seal is ``paillier``.
    """

    params_hash: bytes
    tag_seed: bytes = field(repr=False)
    receiver_key: WrapKey = field(repr=False)
    result_key: PrivateKey | None = field(repr=False)


def open_sum(
    terms: SumTerms, asked: Asked, evidence: Evidence, sum_chunks: Iterable[bytes], verifier: Verifier
) -> OpenedSum:
    """Check everything about one attempt, and open its sum.

    Args:
        terms: What the analyst's own specification fixes.
        asked: What it knows of the round beside.
        evidence: Of the attempt that the broker completed.
        sum_chunks: The folded vector, cut anywhere.
        verifier: Verifies others' statements.

    Raises:
        IdentityInvalid: a signature, a certificate or a `typ` is wrong.
        PeerProtocolError: a party is at fault, named in `party`.
        CohortTooSmall: too few organisations for the specification.
        SealBroken: the sum does not open, or its tag shows that it was shifted.
        InvalidInput: ``wrong_key``: the private keys are not those of the terms.
    """
    _check_keys(terms, asked)
    roster = read_roster(terms, evidence.consents, verifier)
    context = Context(
        job_id=terms.job_id,
        round=evidence.round,
        attempt=evidence.attempt,
        roster_hash=roster.hash,
        params_hash=asked.params_hash,
    )
    sealed = _check_seals(terms, roster, context, evidence.seals, verifier)
    released = _check_releases(terms, roster, sealed, evidence, verifier)
    masked, masked_tag = _read_sum(terms, len(roster.members), asked.result_key, sum_chunks)
    own = _own_keys(roster, context, asked.receiver_key, released)
    words, tag_word = sealing.unmask(terms, masked, masked_tag, own)
    _check_tag(terms, tag_word, tag_of(words, asked.tag_seed, context))
    return OpenedSum(
        vector=words,
        members=tuple(
            MemberReport(member.name, member.organisation, sealed[member.name].data_version)
            for member in roster.members
        ),
        round=evidence.round,
        attempt=evidence.attempt,
        roster_hash=roster.hash,
    )


def _check_keys(terms: SumTerms, asked: Asked) -> None:
    encoded = None if asked.result_key is None else asked.result_key.public.encode()
    if asked.receiver_key.public != terms.receiver_key or encoded != terms.result_key:
        raise InvalidInput(
            "the private keys at hand are not those of this job's specification",
            code="wrong_key",
            remedy="open the result with the profile that asked the question",
        )


def _check_seals(
    terms: SumTerms, roster: Roster, context: Context, seals: Sequence[str], verifier: Verifier
) -> dict[str, SealStatement]:
    found: dict[str, SealStatement] = {}
    for token in seals:
        statement = check_seal(
            terms, roster, context.round, context.attempt, token, verifier, params_hash=context.params_hash
        )
        if statement.name in found:
            raise PeerProtocolError(
                f"there are two seals of {statement.name}", code="sealed_twice", party=statement.name
            )
        found[statement.name] = statement
    _check_complete(roster, found.keys(), "seals")
    return found


def _check_releases(
    terms: SumTerms,
    roster: Roster,
    sealed: dict[str, SealStatement],
    evidence: Evidence,
    verifier: Verifier,
) -> dict[str, ReleaseStatement]:
    found: dict[str, ReleaseStatement] = {}
    for token in evidence.releases:
        statement = read_release(terms, roster, evidence.round, evidence.attempt, token, verifier)
        if statement.name in found:
            raise PeerProtocolError(
                f"there are two releases of {statement.name}", code="released_twice", party=statement.name
            )
        check_committed(sealed[statement.name], statement)
        found[statement.name] = statement
    _check_complete(roster, found.keys(), "releases")
    return found


def _check_complete(roster: Roster, found: Iterable[str], what: str) -> None:
    missing = [name for name in roster.names if name not in set(found)]
    if missing:
        raise PeerProtocolError(
            f"the {what} of {', '.join(missing)} are missing",
            code=f"{what}_missing",
            party=missing[0],
        )


def _read_sum(
    terms: SumTerms, members: int, result_key: PrivateKey | None, sum_chunks: Iterable[bytes]
) -> tuple[WordVector, int]:
    expected = vector.vector_bytes(terms, members)
    pieces: list[bytes] = []
    received = 0
    for chunk in sum_chunks:
        pieces.append(chunk)
        received += len(chunk)
        if received > expected:
            break
    if received != expected:
        raise SealBroken("the sum has another length than its vectors", code="sum_malformed")
    body = b"".join(pieces)
    if result_key is None:
        end = len(body) - terms.tag_bits // 8
        return WordVector.from_bytes(body[:end], terms.word_bits), int.from_bytes(body[end:], "little")
    try:
        ciphertexts = CiphertextVector.from_body(result_key.public, body, vector.degree(terms))
        return vector.layout(terms, members).unpack(result_key.decrypt(ciphertexts))
    except PeerProtocolError as error:
        raise SealBroken(f"the sum does not decrypt: {error.message}", code="sum_malformed") from None


def _own_keys(
    roster: Roster, context: Context, receiver_key: WrapKey, released: dict[str, ReleaseStatement]
) -> list[bytes]:
    keys = []
    for name in roster.names:
        try:
            b = receiver_key.unwrap(released[name].release, sealing.release_info(context, name))
        except PeerProtocolError:
            b = b""
        if len(b) != sealing.B_BYTES:
            raise PeerProtocolError(
                f"the release of {name} does not open for this attempt",
                code="release_does_not_open",
                party=name,
            )
        keys.append(sealing.own_key(b, context, name))
    return keys


def _check_tag(terms: SumTerms, tag_word: int, expected: int) -> None:
    width = terms.tag_bits // 8
    if not hmac.compare_digest(tag_word.to_bytes(width, "little"), expected.to_bytes(width, "little")):
        raise SealBroken(
            "the sum does not agree with its tag: somebody shifted it, sealed noise, "
            "or was shown other parameters; nothing may be read from it",
            code="tag_differs",
            remedy="ask again; if it happens again, let the nodes' operators compare their journals",
        )
