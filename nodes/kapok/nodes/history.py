"""`kapok node history`: everything ever asked and what became of it, whether the node runs or not."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from kapok.errors import InvalidInput, NotFound
from kapok.identity.names import PartyPattern
from kapok.nodes.apps.approval import AppApproval
from kapok.nodes.journal import Pause
from kapok.nodes.journal.apps import app_approvals
from kapok.nodes.journal.history import (
    AskedQuestion,
    PolicyInForce,
    ReopenedCohort,
    asked,
    pauses,
    policies,
    read_only,
    reopenings,
)
from kapok.nodes.officers import JOURNAL_FILE
from kapok.nodes.settings import load_settings

__all__ = ["AskedQuestion", "History", "PolicyInForce", "ReopenedCohort", "history", "moment_of"]


@dataclass(frozen=True, slots=True)
class History:
    """What the journal has on record, each in the order in which it happened.

    Attributes:
        asked: The questions.
        policies: What they were judged by: what was in force at the beginning, and every change since.
        pauses: When the holder stopped the node; the last has no end while it is stopped.
        reopenings: The cohorts that were reopened here.
        apps: The apps that officers have approved by hand, for which time.
    """

    asked: tuple[AskedQuestion, ...]
    policies: tuple[PolicyInForce, ...]
    pauses: tuple[Pause, ...]
    reopenings: tuple[ReopenedCohort, ...]
    apps: tuple[AppApproval, ...]

    @property
    def paused(self) -> Pause | None:
        """The pause that is on, if one is."""
        return next((one for one in self.pauses if one.resumed_at is None), None)


def history(
    home: Path | str,
    *,
    analyst: str | None = None,
    since: float = 0.0,
    clock: Callable[[], float] = time.time,
) -> History:
    """Read a node's journal, and change nothing.

    Args:
        home: The node's folder.
        analyst: A name or pattern, as policies have them; everybody by default. Of reopenings it leaves those
            for its organisation; pauses, policies and approvals of apps are about everybody.
        since: From when on, seconds since the epoch.
        clock: Seconds since the epoch.

    Raises:
        NotFound: ``no_settings``, or ``no_journal`` when the node has never run.
        InvalidInput: ``bad_party_name``, ``older_database``, ``newer_database`` or ``bad_database``.
        Unavailable: ``database_unavailable``.
    """
    pattern = None if analyst is None else PartyPattern(analyst)
    path, now = load_settings(Path(home)).state_folder / JOURNAL_FILE, clock()
    found = read_only(
        path,
        lambda journal: History(
            asked(journal, now=now, analyst=pattern, since=since),
            policies(journal, since=since),
            pauses(journal, since=since),
            reopenings(journal, analyst=pattern, since=since),
            app_approvals(journal, since=since),
        ),
    )
    if found is None:
        raise NotFound(
            f"there is no journal {path}: this node was never asked anything",
            code="no_journal",
            remedy="start the node first: `kapok node run`",
        )
    return found


def moment_of(text: str) -> float:
    """A date, or date and time, in this machine's time zone where it names none, as seconds since the epoch.

    Raises:
        InvalidInput: ``bad_date``.
    """
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        raise InvalidInput(
            f"{text!r} is no date", code="bad_date", remedy="write 2026-11-25, or 2026-11-25T08:00"
        ) from None
