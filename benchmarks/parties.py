"""Parties of a secure sum with real certificates, and its roles driven step by step as daemons drive them."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from kapok.documents.envelope import JwsSigner, JwsVerifier
from kapok.identity.certificates import TrustRoot
from kapok.identity.credentials import Credentials
from kapok.identity.issuing import issue, new_root
from kapok.identity.keyfiles import generate_key
from kapok.identity.names import PartyName, Role
from kapok.protocols.paillier.private import PrivateKey
from kapok.protocols.paillier.public import EncodedKey
from kapok.protocols.secure_sum import aggregator
from kapok.protocols.secure_sum.analyst import Asked, OpenedSum, open_sum
from kapok.protocols.secure_sum.cohort import CohortStatement
from kapok.protocols.secure_sum.evidence import Evidence
from kapok.protocols.secure_sum.holder import Attempt, Holder, SealedContribution, release
from kapok.protocols.secure_sum.params import Party, RosterRules, Seal, SumTerms
from kapok.protocols.secure_sum.roster import params_hash_of
from kapok.protocols.words import WordVector
from kapok.protocols.wraps import WrapKey

__all__ = [
    "WORD_BITS",
    "Domain",
    "Network",
    "folded",
    "holder_of",
    "params_hash",
    "random_values",
    "terms_of",
]

WORD_BITS: Final = 32
TRUST_DOMAIN: Final = "benchmark.example"
RECEIVER: Final = f"spiffe://{TRUST_DOMAIN}/org/university"
# Sums of up to 256 parties stay inside signed words of 32 bits.
MOST_VALUE: Final = 1 << 22


class Domain:
    """A trust domain that certifies whoever is asked for."""

    def __init__(self) -> None:
        """Make its root."""
        self._key, self._now = generate_key(), time.time()
        self.root = new_root(self._key, TRUST_DOMAIN, self._now)

    def credentials(self, organisation: str) -> Credentials:
        """The node of an organisation."""
        key = generate_key()
        name = PartyName(TRUST_DOMAIN, organisation, Role.NODE, "main")
        certificate = issue(self._key, self.root, key.public_key(), name, now=self._now)
        return Credentials(key, certificate, TrustRoot(self.root), self._now)


@dataclass(slots=True)
class Network:
    """The members of one job, an aggregator and an analyst, everybody honest.

    Attributes:
        count: Members, one to an organisation; 3 at least.
        words: Words of a contribution, of `WORD_BITS` bits.
        result_key: The analyst's Paillier key, or None for the seal ``pad``.
    """

    count: int
    words: int
    result_key: PrivateKey | None
    domain: Domain = field(default_factory=Domain)
    receiver_key: WrapKey = field(default_factory=WrapKey.generate)
    tag_seed: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    attempt: int = 0
    terms: SumTerms = field(init=False)
    verifier: JwsVerifier = field(init=False)
    signers: list[JwsSigner] = field(init=False)
    holders: list[Holder] = field(init=False)

    def __post_init__(self) -> None:
        members = [self.domain.credentials(f"holder-{index:03}") for index in range(self.count)]
        self.terms = terms_of(
            [credentials.name for credentials in members],
            self.words,
            None if self.result_key is None else self.result_key.public.encode(),
            self.receiver_key.public,
            secrets.token_bytes(32),
        )
        self.verifier = JwsVerifier(members[0].root_pem)
        self.signers = [JwsSigner(credentials) for credentials in members]
        self.holders = [
            holder_of(self.terms, credentials, signer, self.verifier)
            for credentials, signer in zip(members, self.signers, strict=True)
        ]

    @property
    def params_hash(self) -> bytes:
        """Of the question that all of them answer."""
        return params_hash()

    def consents(self) -> list[str]:
        """Everybody's."""
        return [holder.consent() for holder in self.holders]

    def next_attempt(self) -> int:
        """A holder seals once for each attempt: every measurement takes a new one."""
        self.attempt += 1
        return self.attempt

    def open(self, index: int, attempt: int) -> Attempt:
        """One holder checks the roster."""
        return self.holders[index].open(
            round=1, attempt=attempt, consents=self.consents(), params_hash=self.params_hash
        )

    def seal(self, index: int, attempt: Attempt, words: WordVector) -> SealedContribution:
        """One holder hides its contribution."""
        return self.holders[index].seal(attempt, words, tag_seed=self.tag_seed, data_version="benchmark")

    def releases(self, sealed: Sequence[SealedContribution]) -> list[str]:
        """Everybody's."""
        tokens = [one.token for one in sealed]
        return [
            release(one.record, tokens, signer=signer, verifier=self.verifier)
            for signer, one in zip(self.signers, sealed, strict=True)
        ]

    def receive(self, attempt: int, sealed: Sequence[SealedContribution]) -> list[bytes]:
        """The broker's whole work on what came over the wire: every check, every digest, every fold."""
        return list(
            folded(
                self.terms,
                attempt,
                consents=self.consents(),
                seals=[one.token for one in sealed],
                columns=zip(*(one.chunks for one in sealed), strict=True),
                verifier=self.verifier,
            )
        )

    def open_sum(
        self,
        attempt: int,
        sealed: Sequence[SealedContribution],
        releases: Sequence[str],
        chunks: Sequence[bytes],
    ) -> OpenedSum:
        """The analyst's work."""
        asked = Asked(
            params_hash=self.params_hash,
            tag_seed=self.tag_seed,
            receiver_key=self.receiver_key,
            result_key=self.result_key,
        )
        evidence = Evidence(
            round=1,
            attempt=attempt,
            consents=self.consents(),
            seals=[one.token for one in sealed],
            releases=releases,
        )
        return open_sum(self.terms, asked, evidence, chunks, self.verifier)


def params_hash() -> bytes:
    """Of the question that benchmark sums answer."""
    return params_hash_of("query", "SELECT SUM(value) FROM benchmark", bytes(32))


def terms_of(
    names: Sequence[PartyName], words: int, result_key: EncodedKey | None, receiver_key: bytes, job_id: bytes
) -> SumTerms:
    """Terms of a job with all of these members."""
    return SumTerms(
        job_id=job_id,
        members=frozenset(Party(str(name), name.organisation_id) for name in names),
        at_least=len(names),
        receiver_organisation=RECEIVER,
        seal=Seal.PAD if result_key is None else Seal.PAILLIER,
        words=words,
        word_bits=WORD_BITS,
        result_key=result_key,
        receiver_key=receiver_key,
        rounds=1,
    )


def folded(
    terms: SumTerms,
    attempt: int,
    *,
    consents: Sequence[str],
    seals: Sequence[str],
    columns: Iterable[Sequence[bytes]],
    verifier: JwsVerifier,
) -> Iterator[bytes]:
    """What a broker does with sealed vectors, as a stream: chunks of one index in, that chunk of the sum out.

    Raises:
        KapokError: a check failed; that of the digests comes after the last chunk.
    """
    roster = aggregator.open_roster(terms, consents, verifier)
    statements = [aggregator.check_seal(terms, roster, 1, attempt, token, verifier) for token in seals]
    digests = [hashlib.sha256() for _ in statements]
    for column in columns:
        aggregator.check_chunks(terms, column)
        for chunk, digest in zip(column, digests, strict=True):
            digest.update(chunk)
        yield aggregator.fold(terms, list(column))
    for statement, digest in zip(statements, digests, strict=True):
        aggregator.check_vector(statement, digest.digest())


def holder_of(terms: SumTerms, credentials: Credentials, signer: JwsSigner, verifier: JwsVerifier) -> Holder:
    """A holder with the usual rules."""
    return Holder(
        terms,
        name=str(credentials.name),
        signer=signer,
        verifier=verifier,
        rules=RosterRules(min_parties=3),
        cohort=CohortStatement("fixed"),
    )


def random_values(count: int, seed: int | None = None) -> npt.NDArray[np.int64]:
    """Signed values, shape (count,); the same for the same seed."""
    return np.random.default_rng(seed).integers(-MOST_VALUE, MOST_VALUE, count, dtype=np.int64)
