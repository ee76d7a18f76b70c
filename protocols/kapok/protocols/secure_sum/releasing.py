"""The holder's last step: it needs its journal's record of the attempt, and no key of the job.

    record (journal), all members' signed seals ──▶ check_release (cohort rule) ──▶ release ──▶ signed ρ

A node that has restarted since it sealed can still release. What it may release is decided by
`kapok.protocols.secure_sum.cohort.check_release`, in the transaction that notes the release in the journal.
"""

from __future__ import annotations

from collections.abc import Sequence

from kapok.errors import PeerProtocolError
from kapok.protocols.secure_sum.messages import (
    RELEASE_TYP,
    SEAL_TYP,
    ReleaseStatement,
    SealStatement,
    encode,
    read,
)
from kapok.protocols.secure_sum.params import Signer, Verifier
from kapok.protocols.secure_sum.records import RecordedMember, ReleaseRecord

__all__ = ["release"]


def release(record: ReleaseRecord, seals: Sequence[str], *, signer: Signer, verifier: Verifier) -> str:
    """Check that every member has sealed this very attempt, and sign the release of this holder's part.

    Call it at most for one attempt of a round, ever: before it, and in one transaction with the note of it in
    the journal, let `kapok.protocols.secure_sum.cohort.check_release` decide. Signing the same release again
    is harmless.

    Args:
        record: From the journal.
        seals: One signed seal statement for each member, in any order.
        signer: Signs with this holder's identity.
        verifier: Verifies others' statements.

    Raises:
        IdentityInvalid: a signature, a certificate or a `typ` is wrong.
        PeerProtocolError: ``wrong_attempt``, ``not_in_roster``, ``sealed_twice`` or ``vector_replaced``,
            naming the party; ``seals_missing``.
    """
    seen: set[str] = set()
    for token in seals:
        statement = _read_seal(record, token, verifier)
        if statement.name in seen:
            raise PeerProtocolError(
                f"{statement.name} sealed twice", code="sealed_twice", party=statement.name
            )
        seen.add(statement.name)
    if missing := [name for name in record.names if name not in seen]:
        raise PeerProtocolError(
            f"the broker says complete, but the seals of {', '.join(missing)} are missing",
            code="seals_missing",
        )
    opening = ReleaseStatement(
        job=record.job,
        round=record.round,
        attempt=record.attempt,
        roster=record.roster,
        params=record.params,
        name=record.name,
        release=record.release,
    )
    return signer.sign(RELEASE_TYP, encode(opening))


def _read_seal(record: ReleaseRecord, token: str, verifier: Verifier) -> SealStatement:
    statement, signed = read(SealStatement, SEAL_TYP, token, verifier)
    name = statement.name
    if RecordedMember(name, signed.key_fingerprint) not in record.members:
        raise PeerProtocolError(
            f"{name} sealed without being in the roster with that key", code="not_in_roster", party=name
        )
    if statement.context != record.context:
        raise PeerProtocolError(
            f"{name} sealed another attempt than this one", code="wrong_attempt", party=name
        )
    own = (record.vector_sha256, record.release_sha256)
    if name == record.name and (statement.vector_sha256, statement.release_sha256) != own:
        raise PeerProtocolError(
            "the broker holds another sealed vector of this node than its journal",
            code="vector_replaced",
            party=name,
        )
    return statement
