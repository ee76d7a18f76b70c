"""The signed statements of the masked sum, and how they are read.

    ConsentStatement     holder ──▶ everyone   two keys for this job, and the cohort statement
    SealStatement        holder ──▶ everyone   the digest of its sealed vector and of its release to come
    ReleaseStatement     holder ──▶ receiver   b_i, wrapped to the receiver's key R
    ParametersStatement  analyst ──▶ holders   one round's parameters, in a job of several rounds

Each travels as a signed text; its `typ` is part of what is signed, so that no statement passes for another.
The payload is JSON in exactly one form: whoever reads another form of the same fields refuses it, so that one
statement has one payload. The signer's name is inside the statement too, although the certificate has it.
"""

from __future__ import annotations

from typing import Final, Protocol, TypeVar

import msgspec

from kapok.errors import KapokError, PeerProtocolError
from kapok.protocols.secure_sum.cohort import CohortStatement
from kapok.protocols.secure_sum.context import Context
from kapok.protocols.secure_sum.framing import HASH_BYTES
from kapok.protocols.secure_sum.params import MOST_ROUNDS, Signed, Verifier
from kapok.protocols.sizes import WRAP_KEY_BYTES, X25519_BYTES

__all__ = [
    "CONSENT_TYP",
    "MASK_KEY_BYTES",
    "PARAMETERS_TYP",
    "RELEASE_TYP",
    "SEAL_TYP",
    "ConsentStatement",
    "ParametersStatement",
    "ReleaseStatement",
    "SealStatement",
    "encode",
    "read",
]

CONSENT_TYP: Final = "kapok-consent+jws"
SEAL_TYP: Final = "kapok-seal+jws"
RELEASE_TYP: Final = "kapok-release+jws"
PARAMETERS_TYP: Final = "kapok-parameters+jws"

MASK_KEY_BYTES: Final = X25519_BYTES
MOST_RELEASE_BYTES: Final = 4096
MOST_DATA_VERSION: Final = 200
_FIELD_PRIME: Final = 2**255 - 19


class ConsentStatement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A holder agrees to one job.

    Attributes:
        job: The job's identity, 32 bytes.
        name: The holder's name.
        mask_key: X25519 public key for this job, 32 bytes.
        wrap_key: Public HPKE key for this job, 1216 bytes.
        cohort: Rule and cohorts of the scope.
    """

    job: bytes
    name: str
    mask_key: bytes
    wrap_key: bytes
    cohort: CohortStatement

    def __post_init__(self) -> None:
        _length("job", self.job, HASH_BYTES)
        _length("mask_key", self.mask_key, MASK_KEY_BYTES)
        _length("wrap_key", self.wrap_key, WRAP_KEY_BYTES)
        # X25519 reads many byte strings as one key; only one of them is allowed, so that equal keys look
        # equal.
        for key in (self.mask_key, self.wrap_key[-MASK_KEY_BYTES:]):
            if int.from_bytes(key, "little") >= _FIELD_PRIME:
                raise ValueError("an X25519 key is not in its canonical form")


class SealStatement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A holder commits to its sealed vector and to the release that will open it.

    Attributes:
        job: The job's identity, 32 bytes.
        round: From 1.
        attempt: From 1.
        roster: Roster hash, 32 bytes.
        params: Parameters hash, 32 bytes.
        name: The holder's name.
        vector_sha256: Digest of the sealed vector's bytes, all chunks in their order.
        release_sha256: Digest of ρ, the wrapped b_i.
        data_version: Opaque word for the state of the data that the contribution was computed from.
    """

    job: bytes
    round: int
    attempt: int
    roster: bytes
    params: bytes
    name: str
    vector_sha256: bytes
    release_sha256: bytes
    data_version: str

    def __post_init__(self) -> None:
        _context(self)
        _length("vector_sha256", self.vector_sha256, HASH_BYTES)
        _length("release_sha256", self.release_sha256, HASH_BYTES)
        if len(self.data_version) > MOST_DATA_VERSION:
            raise ValueError("data_version is too long")

    @property
    def context(self) -> Context:
        """The attempt that the statement is about."""
        return _context(self)


class ReleaseStatement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A holder opens its part of one attempt, the only one of its round.

    Attributes:
        job: The job's identity, 32 bytes.
        round: From 1.
        attempt: From 1.
        roster: Roster hash, 32 bytes.
        params: Parameters hash, 32 bytes.
        name: The holder's name.
        release: ρ: b_i wrapped to the receiver's key R with the attempt's context and the name.
    """

    job: bytes
    round: int
    attempt: int
    roster: bytes
    params: bytes
    name: str
    release: bytes

    def __post_init__(self) -> None:
        _context(self)
        if not 0 < len(self.release) <= MOST_RELEASE_BYTES:
            raise ValueError("release has a wrong length")

    @property
    def context(self) -> Context:
        """The attempt that the statement is about."""
        return _context(self)


class ParametersStatement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the analyst signs about one round's parameters.

    Attributes:
        job: The job's identity, 32 bytes.
        round: From 1.
        roster: Roster hash, 32 bytes.
        params: Parameters hash, over the plaintext and the seed, 32 bytes.
        name: The analyst's name.
        wraps: The job key, wrapped to each member, in roster order.
    """

    job: bytes
    round: int
    roster: bytes
    params: bytes
    name: str
    wraps: tuple[bytes, ...]

    def __post_init__(self) -> None:
        if any(len(digest) != HASH_BYTES for digest in (self.job, self.roster, self.params)):
            raise ValueError("a hash is 32 bytes long")
        if not 1 <= self.round <= MOST_ROUNDS:
            raise ValueError("round is out of its bounds")


class Named(Protocol):
    """A statement that carries its signer's name."""

    @property
    def name(self) -> str:
        """The signer's name."""
        ...


StatementT = TypeVar("StatementT", bound=Named)


def encode(statement: msgspec.Struct) -> bytes:
    """The one JSON form of a statement, for signing."""
    return msgspec.json.encode(statement)


def read(kind: type[StatementT], typ: str, token: str, verifier: Verifier) -> tuple[StatementT, Signed]:
    """Verify a signed statement and read it.

    Raises:
        IdentityInvalid: signature, certificate or `typ` are wrong.
        PeerProtocolError: ``bad_statement`` when the payload is anything else than the one form of such a
            statement, or names another party than the one that signed it.
    """
    signed = verifier.verify(typ, token)
    party = signed.signer.name
    try:
        statement = msgspec.json.decode(signed.payload, type=kind)
        canonical = msgspec.json.encode(statement) == signed.payload
    except (msgspec.MsgspecError, UnicodeError, KapokError) as error:
        reason = (
            error.message if isinstance(error, KapokError) else "a field is missing, unknown or malformed"
        )
        raise _bad_statement(typ, party, reason) from None
    if not canonical:
        raise _bad_statement(typ, party, "it is not in the one form that such a statement has")
    if statement.name != party:
        raise _bad_statement(typ, party, "it names another party")
    return statement, signed


def _bad_statement(typ: str, party: str, reason: str) -> PeerProtocolError:
    return PeerProtocolError(
        f"the statement of type {typ} that {party} signed cannot be read: {reason}",
        code="bad_statement",
        party=party,
    )


def _length(name: str, value: bytes, length: int) -> None:
    if len(value) != length:
        raise ValueError(f"{name} is {length} bytes long")


def _context(statement: SealStatement | ReleaseStatement) -> Context:
    return Context(
        job_id=statement.job,
        round=statement.round,
        attempt=statement.attempt,
        roster_hash=statement.roster,
        params_hash=statement.params,
    )
