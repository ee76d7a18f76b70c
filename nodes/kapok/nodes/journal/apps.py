"""Approvals of apps by hand, in the journal: given, and withdrawn; none is ever deleted."""

from __future__ import annotations

from typing import Any

import msgspec

from kapok.errors import ConsentWithheld
from kapok.nodes.apps.approval import BY_HAND, AppApproval, AppRule
from kapok.nodes.journal import queries, tables
from kapok.persistence import Connection

__all__ = ["app_approvals", "approval_ended", "approve_app", "refuse_if_ended", "withdraw_app"]


def app_approvals(connection: Connection, *, since: float = 0.0) -> tuple[AppApproval, ...]:
    """Every approval that held at a moment or was given after it, the earliest first."""
    return tuple(map(_approval, connection.rows(queries.APP_APPROVALS, {"since": since})))


def refuse_if_ended(connection: Connection, number: int) -> None:
    """Let nothing go on by an approval that an officer has withdrawn or replaced; 0 stands for none.

    Raises:
        ConsentWithheld: ``app_not_approved``.
    """
    if number and connection.value(queries.APP_HELD, {"of_number": number}) is None:
        raise approval_ended()


def approval_ended() -> ConsentWithheld:
    """What others are told where the approval by which an app works has ended."""
    return ConsentWithheld(
        "the holder's officer has withdrawn or replaced the approval by which the app works",
        code="app_not_approved",
        clause=BY_HAND,
        remedy="ask the holder's people why; once they have approved it anew, ask again, as a new job",
    )


def approve_app(connection: Connection, rule: AppRule, now: float, officer: str) -> bool:
    """Note an approval; return whether it is new. One for the same app and dataset ends with it."""
    table = tables.app_approval
    held = [one for one in app_approvals(connection) if one.withdrawn_at is None]
    if any(one.rule == rule for one in held):
        return False
    replaced = [one.number for one in held if (one.rule.hash, one.rule.dataset) == (rule.hash, rule.dataset)]
    _withdraw(connection, replaced, now, officer)
    values = {"app": rule.hash, "rule": msgspec.json.encode(rule).decode()}
    connection.change(table.insert(), values | {"approved_at": now, "approved_by": officer})
    return True


def withdraw_app(connection: Connection, app: str, now: float, officer: str) -> tuple[AppApproval, ...]:
    """End all approvals of an app that hold; return them as they were."""
    held = [one for one in app_approvals(connection) if one.withdrawn_at is None and one.rule.hash == app]
    _withdraw(connection, [one.number for one in held], now, officer)
    return tuple(held)


def _withdraw(connection: Connection, numbers: list[int], now: float, officer: str) -> None:
    table = tables.app_approval
    connection.change(
        table.update().where(table.c.number.in_(numbers)).values(withdrawn_at=now, withdrawn_by=officer)
    )


def _approval(row: Any) -> AppApproval:
    return AppApproval(
        number=row.number,
        rule=msgspec.json.decode(row.rule, type=AppRule),
        approved_at=row.approved_at,
        approved_by=row.approved_by,
        withdrawn_at=row.withdrawn_at,
        withdrawn_by=row.withdrawn_by,
    )
