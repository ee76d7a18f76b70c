"""The broker's tables. Who writes which row when is in `docs/data-model.md`.

Signed statements are kept as the text their signer made. Times are seconds since the epoch by the broker's
clock. Nothing here is a contribution, a key that opens something, or a result.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    true,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

__all__ = [
    "AttemptRow",
    "Base",
    "BrokerRow",
    "ConsentRow",
    "DatasetRow",
    "EventRow",
    "InquiryNodeRow",
    "InquiryRow",
    "JobRow",
    "LeaseRow",
    "MemberRow",
    "MembershipRow",
    "ParametersRow",
    "PresenceRow",
    "ReleaseRow",
    "ReopeningNodeRow",
    "ReopeningRow",
    "ReopeningSignatureRow",
    "RevocationListRow",
    "RosterRow",
    "SealedChunkRow",
    "SealedVectorRow",
    "SumChunkRow",
]

_HASH = String(64)
_NAME = String(512)
_WORD = String(64)
# SQLite gives out row numbers for INTEGER keys alone.
_ROW_NUMBER = BigInteger().with_variant(Integer, "sqlite")
# A number is never given out twice: an upload that was overtaken must not find itself in its successor's row.
_NUMBERED = {"sqlite_autoincrement": True}


class Base(DeclarativeBase):
    """The tables' registry; constraints are named so that migrations can speak of them on every engine."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class DatasetRow(Base):
    """A published dataset, by the hash of its document; publishing it again replaces the signature only."""

    __tablename__ = "dataset"

    hash: Mapped[str] = mapped_column(_HASH, primary_key=True)
    name: Mapped[str] = mapped_column(_WORD, index=True)
    document: Mapped[str] = mapped_column(Text)
    publisher: Mapped[str] = mapped_column(_NAME, index=True)
    published_at: Mapped[float] = mapped_column(Float(53))


class MembershipRow(Base):
    """A node has joined a dataset; joining again replaces the statement, for it carries a new tag key."""

    __tablename__ = "membership"

    dataset: Mapped[str] = mapped_column(ForeignKey("dataset.hash"), primary_key=True)
    node: Mapped[str] = mapped_column(_NAME, primary_key=True)
    token: Mapped[str] = mapped_column(Text)
    joined_at: Mapped[float] = mapped_column(Float(53))


class JobRow(Base):
    """A job: its specification as signed, and how far it is. `attempts` are those of its present `round`.

    `at_work` is false as long as it waits behind other jobs of its analyst: nobody is asked before.
    Specification and payload are long: columns, but no attributes; `JobTable` reads them by themselves.
    """

    __tablename__ = "job"
    __table_args__ = (
        Column("specification", Text, nullable=False),
        Column("payload", LargeBinary, nullable=False),
        Index("ix_job_analyst_state", "analyst", "state"),
        Index("ix_job_organisation_state", "organisation", "state", "ordinal"),
        Index("ix_job_state_changed_at", "state", "changed_at"),
        Index("ix_job_dataset_ordinal", "dataset", "ordinal"),
        Index("ix_job_dataset_organisation_ordinal", "dataset", "organisation", "ordinal"),
    )
    __mapper_args__ = {"exclude_properties": ["specification", "payload"]}  # noqa: RUF012

    id: Mapped[str] = mapped_column(_HASH, primary_key=True)
    ordinal: Mapped[int] = mapped_column(BigInteger, unique=True)
    analyst: Mapped[str] = mapped_column(_NAME)
    organisation: Mapped[str] = mapped_column(_NAME)
    state: Mapped[str] = mapped_column(_WORD)
    submitted_at: Mapped[float] = mapped_column(Float(53))
    changed_at: Mapped[float] = mapped_column(Float(53))
    gathering_since: Mapped[float] = mapped_column(Float(53))
    deadline: Mapped[float] = mapped_column(Float(53))
    round: Mapped[int] = mapped_column(Integer, default=1)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    asked_again: Mapped[bool] = mapped_column(Boolean, default=False)
    bytes_received: Mapped[int] = mapped_column(BigInteger, default=0)
    error: Mapped[str | None] = mapped_column(Text, default=None)
    dataset: Mapped[str] = mapped_column(_HASH, default="")
    at_work: Mapped[bool] = mapped_column(Boolean, default=True, server_default=true())


class MemberRow(Base):
    """A node that a job asks, and its refusal if it refused.

    `asked` counts the offers that differ: dropping a stale consent asks once more. `left_behind` is set
    when the others went on without it. `fault` is the code of the last thing it sent that was turned away.
    """

    __tablename__ = "job_member"

    job: Mapped[str] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), primary_key=True)
    node: Mapped[str] = mapped_column(_NAME, primary_key=True, index=True)
    organisation: Mapped[str] = mapped_column(_NAME)
    asked: Mapped[int] = mapped_column(Integer, default=1)
    left_behind: Mapped[bool] = mapped_column(Boolean, default=False)
    refusal: Mapped[str | None] = mapped_column(Text, default=None)
    fault: Mapped[str | None] = mapped_column(_WORD, default=None)


class ConsentRow(Base):
    """A consent that a node gave, with what it stated about its cohorts.

    `standing` is ``current`` (at most one for a node and job), ``stale`` (the node is asked again; the same
    statement may come again) or ``superseded`` (by newer keys; it never counts again).
    """

    __tablename__ = "consent"

    job: Mapped[str] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), primary_key=True)
    node: Mapped[str] = mapped_column(_NAME, primary_key=True)
    digest: Mapped[str] = mapped_column(_HASH, primary_key=True)
    token: Mapped[str] = mapped_column(Text)
    rule: Mapped[str] = mapped_column(_WORD)
    cohorts: Mapped[str] = mapped_column(Text)
    standing: Mapped[str] = mapped_column(_WORD)
    received_at: Mapped[float] = mapped_column(Float(53))


class AttemptRow(Base):
    """An attempt: a round with one fixed roster. `folded` counts the chunks of the sum that exist."""

    __tablename__ = "attempt"
    __table_args__ = (UniqueConstraint("job", "round", "number"), _NUMBERED)

    id: Mapped[int] = mapped_column(_ROW_NUMBER, primary_key=True, autoincrement=True)
    job: Mapped[str] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"))
    round: Mapped[int] = mapped_column(Integer)
    number: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(_WORD, index=True)
    opened_at: Mapped[float] = mapped_column(Float(53))
    changed_at: Mapped[float] = mapped_column(Float(53))
    folded: Mapped[int] = mapped_column(Integer, default=0)
    chunks: Mapped[int] = mapped_column(Integer, default=0)


class RosterRow(Base):
    """A member of an attempt with the consent it takes part under.

    `scope` is set while the member has no cohort yet for the analyst's organisation: see
    `kapok.broker.computation.cohorts`.
    """

    __tablename__ = "roster_member"

    attempt: Mapped[int] = mapped_column(ForeignKey("attempt.id", ondelete="CASCADE"), primary_key=True)
    node: Mapped[str] = mapped_column(_NAME, primary_key=True)
    consent: Mapped[str] = mapped_column(Text)
    scope: Mapped[str | None] = mapped_column(_HASH, index=True, default=None)


class ParametersRow(Base):
    """The parameters of an attempt, signed and sealed for its roster by the analyst.

    `hash` is what the analyst signed that they are: every seal of the attempt carries it. `upload` is what
    their chunks are kept under; there are none any more once no node needs them.
    """

    __tablename__ = "parameters"

    attempt: Mapped[int] = mapped_column(ForeignKey("attempt.id", ondelete="CASCADE"), primary_key=True)
    hash: Mapped[str] = mapped_column(_HASH)
    statement: Mapped[str] = mapped_column(Text)
    upload: Mapped[str] = mapped_column(_HASH, index=True)
    chunks: Mapped[int] = mapped_column(Integer)
    received_at: Mapped[float] = mapped_column(Float(53))


class ParametersChunkRow(Base):
    """A chunk of an attempt's parameters, or of an upload that is not whole yet."""

    __tablename__ = "parameters_chunk"

    upload: Mapped[str] = mapped_column(_HASH, primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    body: Mapped[bytes] = mapped_column(LargeBinary)


class SealedVectorRow(Base):
    """A node's sealed vector: an upload until it is whole and verified, then `counted`.

    `broker` is the process to which it comes: with that an upload ends, and is forgotten.
    """

    __tablename__ = "sealed_vector"
    __table_args__ = (Index("ix_sealed_vector_attempt_node", "attempt", "node"), _NUMBERED)

    id: Mapped[int] = mapped_column(_ROW_NUMBER, primary_key=True, autoincrement=True)
    attempt: Mapped[int] = mapped_column(ForeignKey("attempt.id", ondelete="CASCADE"))
    node: Mapped[str] = mapped_column(_NAME)
    token: Mapped[str] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(_HASH)
    counted: Mapped[bool] = mapped_column(Boolean, default=False)
    chunks: Mapped[int] = mapped_column(Integer, default=0)
    bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    touched_at: Mapped[float] = mapped_column(Float(53))
    broker: Mapped[str] = mapped_column(_WORD, default="", server_default="")


class SealedChunkRow(Base):
    """A chunk of a sealed vector. Deleted when its attempt ends."""

    __tablename__ = "sealed_chunk"

    vector: Mapped[int] = mapped_column(ForeignKey("sealed_vector.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    body: Mapped[bytes] = mapped_column(LargeBinary)


class SumChunkRow(Base):
    """A chunk of the folded, still sealed sum. Deleted when the analyst has it, or when its time is over."""

    __tablename__ = "sum_chunk"

    attempt: Mapped[int] = mapped_column(ForeignKey("attempt.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    body: Mapped[bytes] = mapped_column(LargeBinary)


class ReleaseRow(Base):
    """A node's signed release for one attempt. The first one that verified stays."""

    __tablename__ = "release"

    attempt: Mapped[int] = mapped_column(ForeignKey("attempt.id", ondelete="CASCADE"), primary_key=True)
    node: Mapped[str] = mapped_column(_NAME, primary_key=True)
    token: Mapped[str] = mapped_column(Text)
    received_at: Mapped[float] = mapped_column(Float(53))


class ReopeningRow(Base):
    """A reopening of a cohort that an officer has proposed; `complete` once every organisation has signed.

    `receiver` and `proposer` are organisations in full.
    """

    __tablename__ = "reopening"

    id: Mapped[str] = mapped_column(_HASH, primary_key=True)
    dataset: Mapped[str] = mapped_column(_HASH, index=True)
    receiver: Mapped[str] = mapped_column(_NAME)
    proposer: Mapped[str] = mapped_column(_NAME)
    payload: Mapped[bytes] = mapped_column(LargeBinary)
    serial: Mapped[int] = mapped_column(BigInteger)
    expires: Mapped[float] = mapped_column(Float(53))
    complete: Mapped[bool] = mapped_column(Boolean, default=False)
    proposed_at: Mapped[float] = mapped_column(Float(53))


class ReopeningSignatureRow(Base):
    """An officer's signature under a reopening; signing again replaces it, for certificates expire."""

    __tablename__ = "reopening_signature"

    reopening: Mapped[str] = mapped_column(ForeignKey("reopening.id", ondelete="CASCADE"), primary_key=True)
    officer: Mapped[str] = mapped_column(_NAME, primary_key=True)
    token: Mapped[str] = mapped_column(Text)
    signed_at: Mapped[float] = mapped_column(Float(53))


class ReopeningNodeRow(Base):
    """A node that a reopening concerns, and what it answered when it was given to it."""

    __tablename__ = "reopening_node"

    reopening: Mapped[str] = mapped_column(ForeignKey("reopening.id", ondelete="CASCADE"), primary_key=True)
    node: Mapped[str] = mapped_column(_NAME, primary_key=True, index=True)
    accepted: Mapped[bool] = mapped_column(Boolean, default=False)
    answer: Mapped[str | None] = mapped_column(Text, default=None)


class EventRow(Base):
    """History: one line for each event of a job, with the numbers of its round and attempt then.

    Attempts' own events have none: what they mean for the job is the line.
    """

    __tablename__ = "event"
    __table_args__ = _NUMBERED

    id: Mapped[int] = mapped_column(_ROW_NUMBER, primary_key=True, autoincrement=True)
    job: Mapped[str] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), index=True)
    at: Mapped[float] = mapped_column(Float(53))
    event: Mapped[str] = mapped_column(_WORD)
    state: Mapped[str] = mapped_column(_WORD)
    round: Mapped[int] = mapped_column(Integer, default=1)
    attempt: Mapped[int] = mapped_column(Integer, default=0)
    party: Mapped[str] = mapped_column(_NAME, default="")
    code: Mapped[str] = mapped_column(_WORD, default="")


class BrokerRow(Base):
    """A running broker process. On a store that several share, one that was not seen for a while is dead.

    `seen_at` is by the database's clock.
    """

    __tablename__ = "broker"

    id: Mapped[str] = mapped_column(_WORD, primary_key=True)
    seen_at: Mapped[float] = mapped_column(Float(53))


class PresenceRow(Base):
    """A node that is connected to a broker process, as the others see it."""

    __tablename__ = "presence"

    broker: Mapped[str] = mapped_column(ForeignKey("broker.id", ondelete="CASCADE"), primary_key=True)
    node: Mapped[str] = mapped_column(_NAME, primary_key=True)


class LeaseRow(Base):
    """Work that one broker process does at a time: a job's sum, or the clock. It ends with its holder."""

    __tablename__ = "lease"

    work: Mapped[str] = mapped_column(_HASH, primary_key=True)
    broker: Mapped[str] = mapped_column(ForeignKey("broker.id", ondelete="CASCADE"), index=True)


class InquiryRow(Base):
    """An inquiry whose analyst waits for opinions at a broker process; gone when it does no longer."""

    __tablename__ = "inquiry"

    id: Mapped[str] = mapped_column(_HASH, primary_key=True)
    broker: Mapped[str] = mapped_column(ForeignKey("broker.id", ondelete="CASCADE"), index=True)
    organisation: Mapped[str] = mapped_column(_NAME)
    token: Mapped[str] = mapped_column(Text)


class InquiryNodeRow(Base):
    """A node that is asked for its opinion, and the signed opinion that it gave."""

    __tablename__ = "inquiry_node"

    inquiry: Mapped[str] = mapped_column(ForeignKey("inquiry.id", ondelete="CASCADE"), primary_key=True)
    node: Mapped[str] = mapped_column(_NAME, primary_key=True, index=True)
    opinion: Mapped[str | None] = mapped_column(Text, default=None)


class RevocationListRow(Base):
    """The newest list of revoked certificates that somebody has brought: one row."""

    __tablename__ = "revocation_list"

    number: Mapped[int] = mapped_column(_ROW_NUMBER, primary_key=True, autoincrement=False)
    der: Mapped[bytes] = mapped_column(LargeBinary)
    received_at: Mapped[float] = mapped_column(Float(53))
