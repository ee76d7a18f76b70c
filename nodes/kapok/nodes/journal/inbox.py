"""The journal as the local officer uses it: from another process, beside the running node.

It turns pending questions into approved or denied ones, and the node answers within a second. It pauses and
resumes the node, which looks for that in the very transaction that notes a consent, a seal or a release.
A decision takes the journal's number on, as every write does: what a copy would undo is noticed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import sqlalchemy as sa

from kapok.documents.reopening import Reopening, SignedReopening
from kapok.errors import InvalidInput, NotFound
from kapok.nodes.apps.approval import AppApproval, AppRule
from kapok.nodes.journal import tables
from kapok.nodes.journal.apps import app_approvals, approve_app, withdraw_app
from kapok.nodes.journal.instance import Mirror, number_of, take_on
from kapok.nodes.journal.journal import MIGRATIONS
from kapok.nodes.journal.reading import asked_before, find_job, job_record, pause_of, plain_errors, scope_of
from kapok.nodes.journal.records import AcceptedReopening, JobRecord, Pause, Scope
from kapok.nodes.journal.reopening import accept_reopening, accepted_reopenings
from kapok.nodes.states import Event, NodeJobState, after
from kapok.persistence import Connection, Database, open_database

__all__ = ["Inbox"]


class Inbox:
    """Pending questions. Whoever opens one calls `close`."""

    def __init__(self, path: Path, mirror_path: Path, clock: Callable[[], float], officer: str) -> None:
        """Open the journal, beside its mirror.

        Args:
            path: The database.
            mirror_path: The mirror.
            clock: Seconds since the epoch.
            officer: Who decides, as the operating system names them.

        Raises:
            NotFound: ``no_journal`` when the node has never run.
        """
        if not path.exists():
            raise NotFound(
                f"there is no journal {path}",
                code="no_journal",
                remedy="start the node first: `kapok node run`",
            )
        self._database = Database(open_database(path, MIGRATIONS))
        self._mirror = Mirror(mirror_path)
        self._clock = clock
        self._officer = officer

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def pending(self) -> Sequence[JobRecord]:
        """Questions that wait for a decision, in the order of asking; not those past their deadline."""
        table = tables.job
        with self._database.reading() as connection:
            rows = connection.rows(
                sa.select(table)
                .where(table.c.state == NodeJobState.PENDING, table.c.deadline > self._clock())
                .order_by(table.c.number)
            )
            return [job_record(row) for row in rows]

    def job(self, beginning: str) -> JobRecord:
        """The one job whose id begins so.

        Raises:
            NotFound: ``unknown_job``.
            InvalidInput: ``ambiguous_job``.
        """
        table = tables.job
        digits = "".join(char for char in beginning.lower() if char in "0123456789abcdef")
        if not digits or digits != beginning.lower():
            raise _unknown(beginning)
        with self._database.reading() as connection:
            rows = connection.rows(sa.select(table).where(table.c.job_id.startswith(digits)).limit(2))
        if not rows:
            raise _unknown(beginning)
        if len(rows) > 1:
            raise InvalidInput(
                f"several jobs begin with {beginning}", code="ambiguous_job", remedy="give more digits"
            )
        return job_record(rows[0])

    def earlier(self, job: JobRecord, limit: int = 50) -> Sequence[JobRecord]:
        """What the organisation asked of the asset before, the latest first."""
        table = tables.job
        with self._database.reading() as connection:
            rows = connection.rows(
                sa.select(table).where(asked_before(job)).order_by(table.c.number.desc()).limit(limit)
            )
            return [job_record(row) for row in rows]

    def released(self, jobs: Sequence[JobRecord]) -> frozenset[str]:
        """Those of some jobs of which something was released, by id."""
        job_id = tables.release.c.job_id
        chosen = sa.select(job_id).where(job_id.in_([job.job_id for job in jobs])).distinct()
        with self._database.reading() as connection:
            return frozenset(row.job_id for row in connection.rows(chosen))

    def scope(self, asset: str, organisation: str) -> Scope:
        """What binds the asset and the organisation."""
        with self._database.reading() as connection:
            return scope_of(connection, asset, organisation)

    def scopes(self) -> Sequence[tuple[str, str]]:
        """Asset and organisation of every scope that has a release or a reopening, sorted."""
        release, reopening = tables.release, tables.reopening
        found = sa.select(release.c.asset, release.c.organisation).union(
            sa.select(reopening.c.asset, reopening.c.organisation)
        )
        with self._database.reading() as connection:
            return sorted((row.asset, row.organisation) for row in connection.rows(found))

    def reopenings(self) -> Sequence[AcceptedReopening]:
        """Every reopening that was accepted, in the order of acceptance."""
        with self._database.reading() as connection:
            return accepted_reopenings(connection)

    def reopen(self, asset: str, reopening: Reopening, document: SignedReopening) -> bool:
        """Accept a verified reopening; return whether it is new. The running node goes by it at once.

        Raises:
            InvalidInput: ``reopening_superseded`` or ``journal_restored``.
            CohortTooSmall: ``cohort_not_named``.
            Unavailable: ``journal_unavailable``.
        """
        with plain_errors():
            with self._database.writing() as connection:
                self._mirror.check(number_of(connection))
                new = accept_reopening(connection, asset, reopening, document, self._clock())
                take_on(connection)
            self._mirror.follow(self._database)
        return new

    def decide(self, job_id: str, event: Event) -> JobRecord:
        """Approve or deny a pending question. The same decision again is no change.

        Raises:
            NotFound: ``unknown_job``.
            InvalidInput: ``not_pending``: it was decided otherwise, has gone on, or its deadline has passed;
                ``node_paused`` when it would be approved; ``journal_restored``.
            Unavailable: ``journal_unavailable``.
        """
        decided = after(NodeJobState.PENDING, event)
        with self._write() as connection:
            return self._decide(connection, job_id, decided)

    def pause(self, reason: str) -> Pause:
        """Stop the node: once this returns, no consent, seal or release is noted until it is resumed.

        A node that is paused stays so, for the first reason.

        Raises:
            InvalidInput: ``journal_restored``.
            Unavailable: ``journal_unavailable``.
        """
        with self._write() as connection:
            found = pause_of(connection)
            if found is None:
                found = Pause(reason, self._clock(), self._officer, None, "")
                values = {"reason": reason, "paused_at": found.paused_at, "paused_by": found.paused_by}
                connection.change(tables.pause.insert(), values)
                take_on(connection)
            return found

    def resume(self) -> Pause | None:
        """Let the node answer again; return the pause that has ended, None when there was none.

        Raises:
            InvalidInput: ``journal_restored``.
            Unavailable: ``journal_unavailable``.
        """
        table, now = tables.pause, self._clock()
        with self._write() as connection:
            found = pause_of(connection)
            if found is None:
                return None
            connection.change(
                table.update()
                .where(table.c.resumed_at.is_(None))
                .values(resumed_at=now, resumed_by=self._officer)
            )
            take_on(connection)
            return replace(found, resumed_at=now, resumed_by=self._officer)

    def app_approvals(self) -> tuple[AppApproval, ...]:
        """What officers have approved of apps, those withdrawn too."""
        with self._database.reading() as connection:
            return app_approvals(connection)

    def approve_app(self, rule: AppRule) -> bool:
        """Approve an app; return whether that is new. What was approved of it for the dataset before ends.

        Raises:
            InvalidInput: ``journal_restored``.
            Unavailable: ``journal_unavailable``.
        """
        with self._write() as connection:
            new = approve_app(connection, rule, self._clock(), self._officer)
            if new:
                take_on(connection)
            return new

    def withdraw_app(self, app: str) -> tuple[AppApproval, ...]:
        """End all approvals of an app by hand.

        Return those that have ended. Raises what `approve_app` does.
        """
        with self._write() as connection:
            ended = withdraw_app(connection, app, self._clock(), self._officer)
            if ended:
                take_on(connection)
            return ended

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        """One transaction over a journal that was not restored from a copy, and the mirror after it."""
        with plain_errors():
            with self._database.writing() as connection:
                self._mirror.check(number_of(connection))
                yield connection
            self._mirror.follow(self._database)

    def _decide(self, connection: Connection, job_id: str, decided: NodeJobState) -> JobRecord:
        found = find_job(connection, job_id)
        if found is None:
            raise _unknown(job_id)
        if found.state == decided:
            return found
        if found.state != NodeJobState.PENDING or found.deadline <= self._clock():
            late = (
                "its deadline has passed" if found.state == NodeJobState.PENDING else f"it is {found.state}"
            )
            raise InvalidInput(
                f"job {job_id} does not wait for a decision: {late}",
                code="not_pending",
                remedy="see `kapok node pending` for those that do",
            )
        if decided is NodeJobState.APPROVED:
            _refuse_while_paused(connection)
        now = self._clock()
        connection.change(
            tables.job.update()
            .where(tables.job.c.job_id == job_id)
            .values(state=decided, changed_at=now, decided_at=now, decided_by=self._officer)
        )
        take_on(connection)
        return replace(found, state=decided, decided_at=now, decided_by=self._officer)


def _refuse_while_paused(connection: Connection) -> None:
    """The next that happened to an approved question would be a refusal."""
    if pause_of(connection) is not None:
        raise InvalidInput(
            "this node is paused, and would refuse the question",
            code="node_paused",
            remedy="resume it first: `kapok node resume`; the question waits until its deadline",
        )


def _unknown(job_id: str) -> NotFound:
    return NotFound(
        f"this node was never asked the job {job_id}",
        code="unknown_job",
        remedy="see `kapok node pending` for those that wait",
    )
