"""The holder: consents to a job, checks the roster it is shown, seals one contribution, releases one attempt.

    holder = Holder(terms, name=…)                      two fresh keys, in memory only
    holder.consent()                     ──▶ broker     signed: job, name, both keys, cohort statement
    attempt = holder.open(consents=…)    ◀── broker     refuses, or knows the roster for the agreed one
    sealed = holder.seal(attempt, x, …)  ──▶ broker     signed digests, chunks of y; its record to the journal
    release(record, seals)               ──▶ broker     signed ρ, once all members' vectors are committed

`Holder` lives as long as its keys. A node that restarts makes a new one, and every roster with the old keys
is void for it (``keys_lost``); `release` needs the journalled record only.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from kapok.errors import LocalProtocolError, PeerProtocolError
from kapok.errors.secrecy import NeverPickled
from kapok.protocols.masking.pairwise import MaskKey
from kapok.protocols.paillier.pool import ObfuscatorPool
from kapok.protocols.secure_sum import sealing, vector
from kapok.protocols.secure_sum.cohort import CohortStatement, check_roster
from kapok.protocols.secure_sum.context import Context
from kapok.protocols.secure_sum.messages import (
    CONSENT_TYP,
    SEAL_TYP,
    ConsentStatement,
    SealStatement,
    encode,
)
from kapok.protocols.secure_sum.params import RosterRules, Signer, SumTerms, Verifier
from kapok.protocols.secure_sum.records import RecordedMember, ReleaseRecord
from kapok.protocols.secure_sum.releasing import release
from kapok.protocols.secure_sum.roster import Roster, check_rules, read_roster
from kapok.protocols.secure_sum.round_parameters import Parameters, SealedParameters, open_parameters
from kapok.protocols.words import WordVector
from kapok.protocols.wraps import WrapKey, wrap

__all__ = ["MOST_AHEAD", "Attempt", "Holder", "ReleaseRecord", "SealedContribution", "release"]

MOST_AHEAD: Final = 1024
"""Obfuscators that are made before it is known whether a job will be sealed: under a second of one core."""

_AHEAD_AT_ONCE: Final = 32


@dataclass(frozen=True, slots=True)
class Attempt:
    """A round with one fixed roster that this holder has checked and agreed to."""

    context: Context
    roster: Roster


@dataclass(frozen=True, slots=True)
class SealedContribution(NeverPickled):
    """What leaves the holder: the signed digests, and the masked (and encrypted) vector in chunks.

    Attributes:
        token: The signed seal statement.
        chunks: The sealed vector; every chunk a whole number of elements, at most 256 KiB.
        record: For the journal, before anything is sent. It stays here.
    """

    token: str
    chunks: tuple[bytes, ...] = field(repr=False)
    record: ReleaseRecord = field(repr=False)


class Holder(NeverPickled):
    """One holder's part in one job, with the two keys that it made for it. Never printed, never pickled.

    Args:
        terms: What the verified specification fixes.
        name: This holder's own name.
        signer: Signs with its identity.
        verifier: Verifies others' statements.
        rules: What its policy asks of a roster.
        cohort: Rule and cohorts of this job's scope, from its journal.

    Raises:
        InvalidInput: ``bad_result_key`` or ``bad_wrap_key``: the terms' keys cannot be used.
        LocalProtocolError: ``not_a_member`` when the specification does not name this holder.
    """

    def __init__(
        self,
        terms: SumTerms,
        *,
        name: str,
        signer: Signer,
        verifier: Verifier,
        rules: RosterRules,
        cohort: CohortStatement,
    ) -> None:
        if all(party.name != name for party in terms.members):
            raise LocalProtocolError(
                "this node is not among the members that the specification names", code="not_a_member"
            )
        vector.check_result_key(terms)
        wrap(terms.receiver_key, b"", b"")
        self._terms, self._name = terms, name
        self._signer, self._verifier = signer, verifier
        self._rules, self._cohort = rules, cohort
        self._mask_key, self._wrap_key = MaskKey(), WrapKey.generate()
        self._statement = encode(
            ConsentStatement(
                job=terms.job_id,
                name=name,
                mask_key=self._mask_key.public,
                wrap_key=self._wrap_key.public,
                cohort=cohort,
            )
        )
        self._consent = signer.sign(CONSENT_TYP, self._statement)
        # The latest only: (round, attempt) → what it was sealed for, and the result.
        self._sealed: dict[tuple[int, int], tuple[Context, SealedContribution]] = {}
        self._sealing = threading.Lock()
        self._pool = _pool(terms)

    def __repr__(self) -> str:
        return f"Holder(job={self._terms.job_id.hex()}, name={self._name!r}, <hidden>)"

    def prepare(self) -> None:
        """Make ahead what sealing will take, in a thread while the others consent, until `seal` begins."""
        while self._pool is not None and not self._sealing.locked() and self._pool.fill(_AHEAD_AT_ONCE):
            pass

    def consent(self) -> str:
        """The signed consent with this holder's keys: the same text whenever it is asked for."""
        return self._consent

    def roster(self, consents: Sequence[str]) -> Roster:
        """Check a roster in full and return it.

        Raises:
            IdentityInvalid: a signature, a certificate or a `typ` is wrong.
            PeerProtocolError: a consent is malformed, for another job, or has a name or key that occurs
                twice; ``not_in_roster`` when this holder is not in it.
            LocalProtocolError: ``keys_lost`` when it carries a consent of this holder with keys not held now.
            CohortTooSmall: too few organisations, or the cohort rule says no.
            ConsentWithheld: the policy does not accept a member, or requires one that is missing.
        """
        roster = read_roster(self._terms, consents, self._verifier)
        own = roster.member(self._name)
        if own is None:
            raise PeerProtocolError("the roster does not have this node in it", code="not_in_roster")
        if own.consent != self._statement:
            raise LocalProtocolError(
                "the roster carries an earlier consent of this node, whose keys are gone with its restart",
                code="keys_lost",
                remedy="the broker opens a new attempt with the new consent",
            )
        check_rules(self._terms, roster, self._rules)
        stated = {member.name: member.cohort for member in roster.members}
        check_roster(self._cohort, roster.names, stated)
        return roster

    def parameters(
        self,
        *,
        round: int,  # noqa: A002
        consents: Sequence[str],
        sealed: SealedParameters,
        analyst: str,
    ) -> Parameters:
        """Decrypt one round's parameters, in a job of several rounds; their `hash` goes into `open`.

        Args:
            round: From 1 to the terms' limit.
            consents: The roster that they were sealed for; checked in full first.
            sealed: From the broker.
            analyst: The name of whoever signed the job's specification.

        Raises:
            IdentityInvalid: as `roster`, whose other errors it raises too.
            PeerProtocolError: the parameters are not the analyst's for this round and roster.
        """
        return open_parameters(
            self._terms,
            round=round,
            roster=self.roster(consents),
            sealed=sealed,
            name=self._name,
            wrap_key=self._wrap_key,
            analyst=analyst,
            verifier=self._verifier,
        )

    def open(self, *, round: int, attempt: int, consents: Sequence[str], params_hash: bytes) -> Attempt:  # noqa: A002
        """Agree to an attempt, after checking the whole roster.

        Args:
            round: From 1 to the terms' limit.
            attempt: From 1.
            consents: One signed consent for each member, in any order.
            params_hash: Over question or parameters as this node decoded them itself, 32 bytes.

        Raises:
            IdentityInvalid: as `roster`; so are PeerProtocolError, LocalProtocolError, CohortTooSmall and
                ConsentWithheld.
            PeerProtocolError: ``bad_round`` when the round is above the terms' limit.
            InvalidInput: ``bad_context`` when a number or hash is out of bounds.
        """
        if not 1 <= round <= self._terms.rounds:
            raise PeerProtocolError(
                f"round {round} is not among the {self._terms.rounds} that the specification allows",
                code="bad_round",
            )
        roster = self.roster(consents)
        context = Context(
            job_id=self._terms.job_id,
            round=round,
            attempt=attempt,
            roster_hash=roster.hash,
            params_hash=params_hash,
        )
        return Attempt(context, roster)

    def seal(
        self, attempt: Attempt, contribution: WordVector, *, tag_seed: bytes, data_version: str
    ) -> SealedContribution:
        """Hide a contribution and commit to it; asked again for the same attempt, return the stored result.

        One vector for each (round, attempt), whatever is asked: two contributions under the same pairwise
        masks would show their difference. Only the latest vector is kept, and numbers only go up.

        Args:
            attempt: From `open`.
            contribution: The terms' words of the terms' width, signed.
            tag_seed: 32 bytes, the same for all members.
            data_version: Opaque word for the state of the data.

        Raises:
            PeerProtocolError: ``attempt_changed`` when this attempt was sealed with another roster or other
                parameters; ``bad_mask_key`` naming the member whose key is of small order.
            LocalProtocolError: ``seal_gone`` for a number below the latest; ``keys_lost``,
                ``bad_contribution`` or ``bad_tag_seed``.
        """
        context = attempt.context
        number = (context.round, context.attempt)
        with self._sealing:
            latest = max(self._sealed, default=(0, 0))
            if number > latest:
                self._check_seal(attempt, contribution)
                sealed = self._seal(attempt, contribution, tag_seed, data_version)
                self._sealed = {number: (context, sealed)}
                return sealed
            if number < latest:
                raise LocalProtocolError(
                    f"attempt {context.attempt} of round {context.round} came after a later one was sealed",
                    code="seal_gone",
                )
            sealed_for, sealed = self._sealed[number]
            if sealed_for != context:
                raise PeerProtocolError(
                    f"attempt {context.attempt} of round {context.round} was sealed with another roster "
                    "or other parameters",
                    code="attempt_changed",
                )
            return sealed

    def _check_seal(self, attempt: Attempt, contribution: WordVector) -> None:
        own = attempt.roster.member(self._name)
        if (
            own is None
            or own.consent != self._statement
            or attempt.context.roster_hash != attempt.roster.hash
        ):
            raise LocalProtocolError("the attempt was opened with other keys", code="keys_lost")
        if (contribution.bits, len(contribution)) != (self._terms.word_bits, self._terms.words):
            raise LocalProtocolError(
                "the contribution has another number or width of words than the terms say",
                code="bad_contribution",
            )

    def _seal(
        self, attempt: Attempt, contribution: WordVector, tag_seed: bytes, data_version: str
    ) -> SealedContribution:
        terms, context = self._terms, attempt.context
        b = secrets.token_bytes(sealing.B_BYTES)
        words, tag_word = sealing.mask(
            terms,
            attempt.roster,
            context,
            self._mask_key,
            name=self._name,
            b=b,
            contribution=contribution,
            tag_seed=tag_seed,
        )
        chunks = tuple(sealing.chunks(terms, len(attempt.roster.members), words, tag_word, self._pool))
        sealed_b = wrap(terms.receiver_key, b, sealing.release_info(context, self._name))
        record = self._record(attempt, chunks, sealed_b, data_version)
        return SealedContribution(record.seal, chunks, record)

    def _record(
        self, attempt: Attempt, chunks: Sequence[bytes], sealed_b: bytes, data_version: str
    ) -> ReleaseRecord:
        context, digest = attempt.context, hashlib.sha256()
        for chunk in chunks:
            digest.update(chunk)
        statement = SealStatement(
            job=context.job_id,
            round=context.round,
            attempt=context.attempt,
            roster=context.roster_hash,
            params=context.params_hash,
            name=self._name,
            vector_sha256=digest.digest(),
            release_sha256=hashlib.sha256(sealed_b).digest(),
            data_version=data_version,
        )
        return ReleaseRecord(
            name=self._name,
            job=context.job_id,
            round=context.round,
            attempt=context.attempt,
            roster=context.roster_hash,
            params=context.params_hash,
            members=tuple(
                RecordedMember(member.name, member.key_fingerprint) for member in attempt.roster.members
            ),
            cohort=self._cohort,
            release=sealed_b,
            release_sha256=statement.release_sha256,
            vector_sha256=statement.vector_sha256,
            seal=self._signer.sign(SEAL_TYP, encode(statement)),
        )


def _pool(terms: SumTerms) -> ObfuscatorPool | None:
    """An empty pool for as many obfuscators as a contribution takes, at most `MOST_AHEAD`."""
    if terms.result_key is None:
        return None
    expected = vector.layout(terms, len(terms.members)).plaintexts
    degree, capacity = vector.degree(terms), min(expected, MOST_AHEAD)
    return ObfuscatorPool(vector.result_key(terms), degree, capacity, expected=expected)
