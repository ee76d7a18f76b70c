"""Parties of a masked sum with real P-256 keys, and the exchange between them, one step at a time.

`Authority` stands where certificates stand in a deployment: it knows which key belongs to which name.
`Exchange` drives holders, aggregator and analyst in one process; every message goes through its signed text.
A test that attacks the protocol replaces one step and leaves the others.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kapok.errors import IdentityInvalid
from kapok.protocols.paillier.private import PrivateKey
from kapok.protocols.secure_sum import aggregator, analyst
from kapok.protocols.secure_sum.cohort import CohortStatement
from kapok.protocols.secure_sum.evidence import Evidence
from kapok.protocols.secure_sum.holder import Attempt, Holder, SealedContribution, release
from kapok.protocols.secure_sum.params import Party, RosterRules, Seal, Signed, SumTerms
from kapok.protocols.secure_sum.roster import params_hash_of
from kapok.protocols.words import WordVector
from kapok.protocols.wraps import WrapKey

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ANALYST_ORGANISATION = "spiffe://kapok.test/org/university"


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Identity:
    """A party's signing key. Implements `Signer`."""

    party: Party
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def spki(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def sign(self, typ: str, payload: bytes) -> str:
        header = json.dumps({"alg": "ES256", "typ": typ, "name": self.party.name})
        signed = f"{_b64(header.encode())}.{_b64(payload)}"
        return f"{signed}.{_b64(self.key.sign(signed.encode(), ec.ECDSA(SHA256())))}"


class Authority:
    """Knows every party's name and key. Implements `Verifier`."""

    def __init__(self) -> None:
        self.known: dict[str, Identity] = {}

    def enrol(self, name: str, organisation: str) -> Identity:
        party = Party(f"{organisation}/node/{name}", organisation)
        identity = self.known[party.name] = Identity(party)
        return identity

    def verify(self, typ: str, token: str) -> Signed:
        try:
            head, body, signature = token.split(".")
            header = json.loads(_unb64(head))
            identity = self.known[header["name"]]
            public = identity.key.public_key()
            public.verify(_unb64(signature), f"{head}.{body}".encode(), ec.ECDSA(SHA256()))
        except (InvalidSignature, ValueError, KeyError, TypeError):
            raise IdentityInvalid("the signature does not verify", code="bad_signature") from None
        if header["typ"] != typ:
            raise IdentityInvalid("the statement has another type", code="wrong_typ")
        certificate = b"certificate" + identity.party.name.encode() + identity.spki
        fingerprints = (hashlib.sha256(certificate).digest(), hashlib.sha256(identity.spki).digest())
        return Signed(_unb64(body), identity.party, *fingerprints)


def with_other_signature(token: str) -> str:
    """The same statement under a second signature that verifies too, made without a key: (r, −s)."""
    head, body, signature = token.split(".")
    r, s = decode_dss_signature(_unb64(signature))
    return f"{head}.{body}.{_b64(encode_dss_signature(r, P256_ORDER - s))}"


@dataclass
class Exchange:
    """One job among holders of as many organisations, each step in a method of its own.

    `contributions` are signed integers, one list for each holder, in roster order.
    """

    authority: Authority
    identities: list[Identity]
    terms: SumTerms
    contributions: list[list[int]]
    receiver_key: WrapKey
    result_key: PrivateKey | None
    tag_seed: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    rules: RosterRules = field(default_factory=lambda: RosterRules(min_parties=3))
    cohorts: dict[str, CohortStatement] = field(default_factory=dict)
    params_hash: bytes = field(
        default_factory=lambda: params_hash_of("query", "SELECT COUNT(*) FROM heart", b"\x01" * 32)
    )
    holders: list[Holder] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.holders = self.holders or [self.holder(identity) for identity in self.identities]

    @property
    def names(self) -> list[str]:
        return [identity.party.name for identity in self.identities]

    def holder(self, identity: Identity, **changes) -> Holder:
        """A fresh holder, as after a restart of its node."""
        given = {
            "name": identity.party.name,
            "signer": identity,
            "verifier": self.authority,
            "rules": self.rules,
            "cohort": self.cohorts.get(identity.party.name, CohortStatement("fixed")),
        } | changes
        return Holder(given.pop("terms", self.terms), **given)

    def consents(self, indices: Sequence[int] | None = None) -> list[str]:
        return [self.holders[index].consent() for index in self._all(indices)]

    def open(self, index: int, consents: Sequence[str], *, round=1, attempt=1) -> Attempt:  # noqa: A002
        return self.holders[index].open(
            round=round, attempt=attempt, consents=consents, params_hash=self.params_hash
        )

    def seal(self, index: int, attempt: Attempt, values: Sequence[int] | None = None) -> SealedContribution:
        words = WordVector.from_integers(
            self.contributions[index] if values is None else values, self.terms.word_bits
        )
        return self.holders[index].seal(attempt, words, tag_seed=self.tag_seed, data_version="v1")

    def seal_all(
        self,
        indices: Sequence[int] | None = None,
        *,
        round: int = 1,  # noqa: A002
        attempt: int = 1,
    ) -> list[SealedContribution]:
        """Consents, roster and sealed vectors of one attempt, everybody honest."""
        consents = self.consents(indices)
        return [
            self.seal(index, self.open(index, consents, round=round, attempt=attempt))
            for index in self._all(indices)
        ]

    def release_all(
        self, sealed: Sequence[SealedContribution], indices: Sequence[int] | None = None
    ) -> list[str]:
        tokens = [one.token for one in sealed]
        return [
            release(one.record, tokens, signer=self.identities[index], verifier=self.authority)
            for index, one in zip(self._all(indices), sealed, strict=True)
        ]

    def fold_all(self, sealed: Sequence[SealedContribution]) -> list[bytes]:
        return [
            aggregator.fold(self.terms, list(column))
            for column in zip(*(one.chunks for one in sealed), strict=True)
        ]

    def open_sum(self, sealed: Sequence[SealedContribution], **changes) -> analyst.OpenedSum:
        """The analyst's step, with everything as it should be unless `changes` say otherwise."""
        given: dict = {
            "round": 1,
            "attempt": 1,
            "params_hash": self.params_hash,
            "receiver_key": self.receiver_key,
            "result_key": self.result_key,
            "tag_seed": self.tag_seed,
            "seals": [one.token for one in sealed],
            "verifier": self.authority,
        } | changes
        for name, make in self._evidence(sealed).items():
            if name not in given:
                given[name] = make()
        asked = {one.name: given.pop(one.name) for one in fields(analyst.Asked)}
        evidence = {one.name: given.pop(one.name) for one in fields(Evidence)}
        terms = given.pop("terms", self.terms)
        return analyst.open_sum(terms, analyst.Asked(**asked), Evidence(**evidence), **given)

    def truth(self, indices: Sequence[int] | None = None) -> list[int]:
        """The sum of the contributions in the clear."""
        return [
            sum(column) for column in zip(*(self.contributions[i] for i in self._all(indices)), strict=True)
        ]

    def _evidence(self, sealed: Sequence[SealedContribution]) -> dict[str, Callable[[], list]]:
        return {
            "consents": self.consents,
            "releases": lambda: self.release_all(sealed),
            "sum_chunks": lambda: self.fold_all(sealed),
        }

    def _all(self, indices: Sequence[int] | None) -> Sequence[int]:
        return range(len(self.holders)) if indices is None else indices


def exchange(
    contributions: Sequence[Sequence[int]] = (
        (1, -2, 3),
        (40, 50, -60),
        (700, 800, 900),
        (-1000, 2000, 3000),
    ),
    *,
    result_key: PrivateKey | None = None,
    word_bits: int = 64,
    organisations: Sequence[str] | None = None,
    cohorts: Sequence[CohortStatement] | None = None,
    rules: RosterRules | None = None,
    at_least: int | None = None,
    rounds: int = 1,
    job_id: bytes | None = None,
    authority: Authority | None = None,
    identities: list[Identity] | None = None,
) -> Exchange:
    """An exchange among as many parties as there are contributions; ``pad`` without a result key."""
    authority = authority or Authority()
    if identities is None:
        letters = [chr(ord("a") + index) for index in range(len(contributions))]
        owners = organisations or [f"spiffe://kapok.test/org/{letter}" for letter in letters]
        identities = [authority.enrol(letter, owner) for letter, owner in zip(letters, owners, strict=True)]
    members = frozenset(identity.party for identity in identities)
    receiver_key = WrapKey.generate()
    terms = SumTerms(
        job_id=job_id or secrets.token_bytes(32),
        members=members,
        at_least=at_least or len({party.organisation for party in members}),
        receiver_organisation=ANALYST_ORGANISATION,
        seal=Seal.PAD if result_key is None else Seal.PAILLIER,
        words=len(contributions[0]),
        word_bits=word_bits,
        result_key=None if result_key is None else result_key.public.encode(),
        receiver_key=receiver_key.public,
        rounds=rounds,
    )
    stated = cohorts or [CohortStatement("fixed")] * len(identities)
    return Exchange(
        authority,
        identities,
        terms,
        [list(values) for values in contributions],
        receiver_key,
        result_key,
        rules=rules or RosterRules(min_parties=3),
        cohorts={identity.party.name: one for identity, one in zip(identities, stated, strict=True)},
    )


def again(first: Exchange, **changes) -> Exchange:
    """Another job among the same parties over the same data: new nonce, new keys, new seed."""
    terms = replace(first.terms, job_id=secrets.token_bytes(32), **changes)
    return replace(first, terms=terms, tag_seed=secrets.token_bytes(32), holders=[])
