"""The journal as a record: all that was asked and what became of it, policies in force, pauses, reopenings.

It is read from the file alone, read-only, whether the node runs or not.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import msgspec
import sqlalchemy as sa

from kapok.documents.statements import RefusalStatement
from kapok.identity.names import PartyName, PartyPattern
from kapok.nodes.journal import tables
from kapok.nodes.journal.journal import MIGRATIONS
from kapok.nodes.journal.reading import pause_record
from kapok.nodes.journal.records import Pause
from kapok.nodes.states import NodeJobState
from kapok.persistence import Connection, examine_database

__all__ = [
    "AskedQuestion",
    "Outcome",
    "PolicyInForce",
    "ReopenedCohort",
    "asked",
    "pauses",
    "policies",
    "read_only",
    "reopenings",
]

T = TypeVar("T")

Outcome = Literal["released", "allowed", "refused", "waiting", "unanswered"]
_WAITING: Final = (NodeJobState.PENDING, NodeJobState.APPROVED)


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedQuestion:
    """One job that this node was asked, and what became of it.

    Attributes:
        job_id: Lower-case hex.
        asked_at: When it was asked first; times are in seconds since the epoch.
        analyst: Who asked.
        dataset: This node's name for it; empty when it had not joined it.
        question: In canonical form, or a note that it could not be read.
        in_words: As a sentence; empty when it was not understood.
        outcome: ``released``: an answer left. ``allowed``: consented to, and nothing left. ``refused``.
            ``waiting``: for an officer. ``unanswered``: it ended before anything was decided.
        code: Of the refusal, or empty.
        clause: Of the policy or specification, by which it was refused; or empty.
        rule: Number of the rule in the policy file; 0 for none.
        policy: Number of the policy by which the last decision was made; 0 where none is known.
        counted: Whether it was a try: not while paused or outside of the hours.
        released_at: When the first answer left; None for never.
        decided_by: The officer who approved or denied it; or empty.
        decided_at: When; None without a decision.
    """

    job_id: str
    asked_at: float
    analyst: str
    dataset: str
    question: str
    in_words: str
    outcome: Outcome
    code: str
    clause: str
    rule: int
    policy: int
    counted: bool
    released_at: float | None
    decided_by: str
    decided_at: float | None


@dataclass(frozen=True, slots=True)
class PolicyInForce:
    """What the node has judged by since a moment, word for word.

    Attributes:
        number: What decisions refer to.
        since: Seconds since the epoch.
        policy_hash: SHA-256 of the text, hex.
        policy: What ``policy.toml`` said.
        settings_hash: SHA-256 of the text, hex.
        settings: What ``node.toml`` said when the node started.
    """

    number: int
    since: float
    policy_hash: str
    policy: str
    settings_hash: str
    settings: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReopenedCohort:
    """A reopening that this node has accepted.

    Attributes:
        reopening: Its identity.
        accepted_at: Seconds since the epoch.
        asset: The table.
        organisation: The receiver, in full.
        serial: Of the reopening, for this table and receiver.
        names: The nodes that answers come from since.
    """

    reopening: str
    accepted_at: float
    asset: str
    organisation: str
    serial: int
    names: tuple[str, ...]


def read_only(path: Path, look: Callable[[Connection], T]) -> T | None:
    """Look into a journal, and change nothing.

    Args:
        path: The database.
        look: Gets a connection that can only read.

    Returns:
        What `look` returns; None when there is no journal yet.

    Raises:
        InvalidInput: ``older_database`` until this version has run, ``newer_database``, ``bad_database``.
        Unavailable: ``database_unavailable``.
    """
    return examine_database(path, MIGRATIONS, look, current=True)


def asked(
    connection: Connection, *, now: float, analyst: PartyPattern | None = None, since: float = 0.0
) -> tuple[AskedQuestion, ...]:
    """Everything that was asked, in the order of asking.

    Args:
        connection: To the journal.
        now: Seconds since the epoch.
        analyst: Whom it is about; everybody by default.
        since: From when on, seconds since the epoch.
    """
    job, consent, release = tables.job, tables.consent, tables.release
    first_release = (
        sa.select(sa.func.min(release.c.released_at))
        .where(release.c.job_id == job.c.job_id)
        .scalar_subquery()
    )
    consented = sa.exists().where(consent.c.job_id == job.c.job_id)
    rows = connection.rows(
        sa.select(job, first_release.label("released_at"), consented.label("consented"))
        .where(job.c.asked_at >= since)
        .order_by(job.c.number)
    )
    return tuple(
        _asked(row, now) for row in rows if analyst is None or analyst.matches(PartyName.parse(row.analyst))
    )


def policies(connection: Connection, *, since: float = 0.0) -> tuple[PolicyInForce, ...]:
    """What was in force at a moment and came into force after it, the earliest first."""
    table = tables.in_force
    at_that_time = sa.select(sa.func.max(table.c.number)).where(table.c.since <= since).scalar_subquery()
    rows = connection.rows(
        sa.select(table)
        .where((table.c.since > since) | (table.c.number == at_that_time))
        .order_by(table.c.number)
    )
    return tuple(
        PolicyInForce(row.number, row.since, row.policy_hash, row.policy, row.settings_hash, row.settings)
        for row in rows
    )


def pauses(connection: Connection, *, since: float = 0.0) -> tuple[Pause, ...]:
    """Every pause that was on at a moment or began after it, the earliest first."""
    table = tables.pause
    rows = connection.rows(
        sa.select(table)
        .where(table.c.resumed_at.is_(None) | (table.c.resumed_at >= since))
        .order_by(table.c.number)
    )
    return tuple(pause_record(row) for row in rows)


def reopenings(
    connection: Connection, *, analyst: PartyPattern | None = None, since: float = 0.0
) -> tuple[ReopenedCohort, ...]:
    """Every cohort reopening that was accepted, the earliest first; of one analyst's organisation alone."""
    table = tables.reopening
    rows = connection.rows(sa.select(table).where(table.c.accepted_at >= since).order_by(table.c.number))
    return tuple(
        ReopenedCohort(
            reopening=row.reopening_id,
            accepted_at=row.accepted_at,
            asset=row.asset,
            organisation=row.organisation,
            serial=row.serial,
            names=msgspec.json.decode(row.names, type=tuple[str, ...]),
        )
        for row in rows
        if analyst is None or _is_of(analyst, row.organisation)
    )


def _is_of(analyst: PartyPattern, organisation: str) -> bool:
    """Whether the pattern may match somebody of the organisation, ``spiffe://<trust domain>/org/<name>``."""
    _, _, domain, _, name = organisation.split("/")
    return analyst.trust_domain in ("*", domain) and analyst.organisation in ("*", name)


def _asked(row: Any, now: float) -> AskedQuestion:
    refusal = _refusal(row.refusal)
    return AskedQuestion(
        job_id=row.job_id,
        asked_at=row.asked_at,
        analyst=row.analyst,
        dataset=row.dataset,
        question=row.question,
        in_words=row.in_words,
        outcome=_outcome(row, now),
        code=refusal.code if refusal else "",
        clause=refusal.clause if refusal else "",
        rule=row.rule_number,
        policy=row.in_force,
        counted=row.counted,
        released_at=row.released_at,
        decided_by=row.decided_by,
        decided_at=row.decided_at,
    )


def _outcome(row: Any, now: float) -> Outcome:
    if row.released_at is not None:
        return "released"
    if row.state == NodeJobState.REFUSED or row.refusal:
        return "refused"
    if row.consented:
        return "allowed"
    if row.state in _WAITING and row.deadline > now:
        return "waiting"
    return "unanswered"


def _refusal(token: str) -> RefusalStatement | None:
    """What a refusal of this node says: its own record, so that its signature is not checked again."""
    try:
        _, payload, _ = token.split(".")
        content = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
        return msgspec.json.decode(content, type=RefusalStatement)
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        return None
