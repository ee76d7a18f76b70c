"""Reopenings in the journal: accepted once, in the order of their serials, and in force at once."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from kapok.documents.reopening import Reopening, SignedReopening
from kapok.errors import CohortTooSmall, InvalidInput
from kapok.nodes.journal import tables
from kapok.nodes.journal.reading import scope_of
from kapok.nodes.journal.records import AcceptedReopening
from kapok.persistence import Connection

__all__ = ["accept_reopening", "accepted_reopenings"]


def accept_reopening(
    connection: Connection, asset: str, reopening: Reopening, document: SignedReopening, now: float
) -> bool:
    """Note a verified reopening, within a transaction; return whether it is new.

    Args:
        connection: The transaction's.
        asset: This node's name for the table.
        reopening: What was signed.
        document: The same, with its signatures.
        now: Seconds since the epoch.

    Raises:
        InvalidInput: ``reopening_superseded``: the scope has accepted one with this serial or a larger one.
        CohortTooSmall: ``cohort_not_named``: this node is bound to a cohort that the officers were not shown.
    """
    scope = scope_of(connection, asset, reopening.receiver)
    if scope.reopened is not None and scope.reopened.id.hex() == document.id:
        return False
    if scope.reopened is not None and scope.reopened.serial >= reopening.serial:
        raise InvalidInput(
            f"this node has accepted the reopening {scope.reopened.serial} of the cohort, and takes "
            f"{reopening.serial} no more",
            code="reopening_superseded",
            remedy="let an officer propose it anew (`kapok cohort propose`), with a larger serial",
        )
    unnamed = [names for names in scope.cohorts() if names not in reopening.old]
    if unnamed:
        raise CohortTooSmall(
            f"this node is bound to a cohort that the reopening does not name: {', '.join(unnamed[0])}",
            code="cohort_not_named",
            remedy="let an officer propose it anew and name that cohort too (`kapok cohort propose --old`)",
        )
    connection.change(
        tables.reopening.insert().values(
            reopening_id=document.id,
            asset=asset,
            organisation=reopening.receiver,
            serial=reopening.serial,
            names=msgspec.json.encode(reopening.new).decode(),
            document=document.to_json(),
            accepted_at=now,
        )
    )
    return True


def accepted_reopenings(connection: Connection) -> Sequence[AcceptedReopening]:
    """Every reopening that was accepted, in the order of acceptance."""
    rows = connection.rows(sa.select(tables.reopening).order_by(tables.reopening.c.number))
    return [
        AcceptedReopening(
            id=row.reopening_id,
            asset=row.asset,
            organisation=row.organisation,
            document=SignedReopening.from_json(row.document),
            accepted_at=row.accepted_at,
        )
        for row in rows
    ]
