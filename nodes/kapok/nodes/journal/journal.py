"""The journal as the runner uses it: each method one transaction, on disk when it returns."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from kapok.documents.reopening import Reopening, SignedReopening
from kapok.errors import InvalidInput, LocalProtocolError
from kapok.nodes.apps.approval import AppApproval
from kapok.nodes.journal import queries, tables
from kapok.nodes.journal.apps import app_approvals, refuse_if_ended
from kapok.nodes.journal.forgetting import empty_texts, has_old_texts
from kapok.nodes.journal.instance import Mirror, number_of, take_on
from kapok.nodes.journal.reading import (
    find_job,
    job_record,
    pause_of,
    plain_errors,
    refuse_if_paused,
    refuse_if_replaced,
    scope_of,
    tries_so_far,
)
from kapok.nodes.journal.records import Decision, JobRecord, NewJob, Pause, Scope, StoredRelease, StoredSeal
from kapok.nodes.journal.reopening import accept_reopening
from kapok.nodes.policy import History
from kapok.nodes.states import REFUSABLE, Event, NodeJobState, after
from kapok.persistence import Connection, Database, examine_database, open_database
from kapok.protocols.secure_sum.cohort import CohortStatement, check_release, rule_in_force
from kapok.protocols.secure_sum.records import ReleaseRecord

__all__ = ["MIGRATIONS", "Journal"]

MIGRATIONS = "kapok.nodes.journal.migrations"

_STOPPED_BY_A_PAUSE = (Event.DEFERRAL, Event.CONSENT, Event.SEALING, Event.RELEASE)


class Journal:
    """A node's journal. `open` is the way to get one; whoever does calls `close`."""

    def __init__(self, database: Database, mirror: Mirror, clock: Callable[[], float]) -> None:
        self._database = database
        self._mirror = mirror
        self._clock = clock

    @classmethod
    def open(
        cls,
        path: Path,
        mirror_path: Path,
        *,
        clock: Callable[[], float],
        accept: int | None = None,
        on_accept: Callable[[], None] = lambda: None,
    ) -> Journal:
        """Open the journal, make it if there is none, and compare its number with the mirror's.

        Args:
            path: The database.
            mirror_path: The mirror.
            clock: Seconds since the epoch.
            accept: The number that an officer confirmed, or None.
            on_accept: Called before a restored journal is accepted; what it does must bear being done twice.

        Raises:
            InvalidInput: ``journal_restored``, and whatever `kapok.persistence.open_database` raises.
        """
        mirror = Mirror(mirror_path)
        mirror.read()
        journal = cls(Database(open_database(path, MIGRATIONS)), mirror, clock)
        try:
            with journal._read() as connection:
                accepted = mirror.check(number_of(connection), accept)
            if accepted is not None:
                on_accept()
            with journal._write() as connection:
                if accepted is not None:
                    journal._accept(connection, accepted)
        except BaseException:
            journal.close()
            raise
        return journal

    @staticmethod
    def examine(path: Path, mirror_path: Path, accept: int | None = None) -> None:
        """Judge the journal as `open` would, and change nothing.

        Args:
            path: The database; there need not be one.
            mirror_path: The mirror.
            accept: The number that an officer confirmed, or None.

        Raises:
            InvalidInput: as `open`.
            Unavailable: ``database_unavailable``.
        """
        mirror = Mirror(mirror_path)
        # The mirror follows the journal: read first, that of a running node is not ahead.
        mirrored = mirror.read()
        mirror.judge(examine_database(path, MIGRATIONS, number_of) or 0, mirrored, accept)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def keep_up(self) -> None:
        """Let the mirror follow. Whatever is answered from stored state waits for this.

        A write that the mirror did not follow is in the journal all the same, and must not be answered
        before: a copy of the time before it would go unnoticed.

        Raises:
            Unavailable: ``journal_unavailable``: nothing may be answered.
        """
        with plain_errors():
            self._mirror.follow(self._database)

    def number(self) -> int:
        """Grows with each write, whoever writes."""
        with self._read() as connection:
            return number_of(connection)

    # --- jobs -----------------------------------------------------------------------------------------

    def job(self, job_id: str) -> JobRecord | None:
        """The job of that id, if this node was ever asked it."""
        with self._read() as connection:
            return find_job(connection, job_id)

    def count_try(self, new: NewJob) -> JobRecord:
        """Note that a job was asked; once for each id, however often it comes.

        One that brings its refusal is refused with it, and is no try.
        """
        with self._write() as connection:
            if found := find_job(connection, new.job_id):
                return found
            now = self._clock()
            values = {
                "job_id": new.job_id,
                "analyst": new.analyst,
                "organisation": new.organisation,
                "dataset": new.dataset,
                "asset": new.asset,
                "question": new.question,
                "in_words": new.in_words,
                "rule": "",
                "specification": "",
                "deadline": new.deadline,
                "state": NodeJobState.REFUSED if new.refusal else NodeJobState.OFFERED,
                "refusal": new.refusal,
                "asked_at": now,
                "changed_at": now,
                "counted": not new.refusal,
                "rule_number": new.rule_number,
                "in_force": new.in_force,
                "tries": tries_so_far(connection, new.asset, new.organisation)[0],
            }
            connection.change(queries.ADD_JOB, values)
            return self._found(connection, new.job_id)

    def history(self, job: JobRecord, day: float = 0.0) -> History:
        """What a judgement needs to know of the scope of a job, and of the tries before it.

        Those that came while their dataset was not joined here count as well: of what, nobody can tell.

        Args:
            job: As it was counted.
            day: Of tries that came at this moment or later, how many there were is told apart.
        """
        with self._read() as connection:
            scope = scope_of(connection, job.asset, job.organisation)
            tries = [
                tries_so_far(connection, asset, job.organisation, before=job.number, day=day)
                for asset in {job.asset, ""}
            ]
        return scope.history(sum(ever for ever, _ in tries), sum(of_day for _, of_day in tries))

    def defer(self, job_id: str, *, specification: str, decision: Decision) -> None:
        """The question waits for the local officer.

        Raises:
            ConsentWithheld: ``holder_paused``; ``app_not_approved``.
        """
        with self._write() as connection:
            values = _decided(decision) | {"specification": specification}
            self._step(connection, job_id, Event.DEFERRAL, app=decision.app, **values)

    def consent(
        self, job_id: str, *, specification: str, decision: Decision, cohort: CohortStatement
    ) -> bool:
        """A consent is about to be given; return whether it is the job's first.

        Raises:
            ConsentWithheld: ``holder_paused``; ``app_not_approved``.
        """
        with self._write() as connection:
            first = connection.value(queries.CONSENTED, {"of_job": job_id}) is None
            decided = _decided(decision) | {"specification": specification}
            self._step(connection, job_id, Event.CONSENT, app=decision.app, **decided)
            values = {"job_id": job_id, "cohort": _json(cohort), "in_force": decision.in_force}
            connection.change(queries.ADD_CONSENT, values | {"given_at": self._clock()})
            return first

    def refuse(self, job_id: str, token: str, *, in_force: int) -> str:
        """A refusal is about to be given; return the one that counts, the first.

        A job that was closed stays so. One that was released answers no further round, and its releases
        stay.
        """
        with self._write() as connection:
            found = self._found(connection, job_id)
            if found.refusal:
                return found.refusal
            if found.state not in REFUSABLE:
                return token
            self._step(connection, job_id, Event.REFUSAL, refusal=token, in_force=in_force)
            return token

    def decided(self) -> Sequence[JobRecord]:
        """Jobs that the officer has decided and the broker does not know of yet."""
        with self._read() as connection:
            return [job_record(row) for row in connection.rows(queries.DECIDED)]

    def close_job(self, job_id: str) -> None:
        """The job has ended: what could still release it is forgotten. Unknown jobs are not noted."""
        with self._write() as connection:
            if find_job(connection, job_id):
                self._step(connection, job_id, Event.CLOSING)
                connection.change(queries.FORGET_SEALS, {"of_job": job_id})

    def forget_expired(self, now: float) -> None:
        """Forget what could still release jobs whose deadline has passed: nobody waits for them any more."""
        with self._read() as connection:
            if connection.value(queries.ANY_OVERDUE, {"now": now}) is None:
                return
        with self._write() as connection:
            connection.change(queries.FORGET_OVERDUE, {"now": now})

    def forget_texts(self, before: float) -> int:
        """Empty texts of jobs that ended before a time and released nothing; return of how many."""
        with self._read() as connection:
            if not has_old_texts(connection, before):
                return 0
        with self._write() as connection:
            return empty_texts(connection, before)

    # --- seals and releases ---------------------------------------------------------------------------

    def seal(self, record: ReleaseRecord, *, in_force: int, question: bytes = b"", app: int = 0) -> None:
        """A sealed vector is about to be sent. The same attempt's record again is no change.

        `question` stands for what it answers, 32 bytes; empty for the question of its job. `app` is the
        number of the approval by hand by which an app has worked for it; 0 for none.

        Raises:
            LocalProtocolError: ``sealed_otherwise`` when this attempt was sealed with another vector.
            ConsentWithheld: ``holder_paused``; ``app_not_approved``.
        """
        job_id, encoded = record.job.hex(), record.to_json()
        with self._write() as connection:
            if earlier := _seal(connection, job_id, record.round, record.attempt):
                if earlier.record != encoded:
                    raise LocalProtocolError("this attempt was sealed otherwise", code="sealed_otherwise")
                return
            self._step(connection, job_id, Event.SEALING, app=app)
            place = {"job_id": job_id, "round": record.round, "attempt": record.attempt}
            values = {
                "record": encoded,
                "sealed_at": self._clock(),
                "in_force": in_force,
                "question": question,
                "app": app,
            }
            connection.change(queries.ADD_SEAL, place | values)

    def sealed(self, job_id: str, round_: int, attempt: int) -> StoredSeal | None:
        """What the release of an attempt needs, if it was sealed here and its job is not closed."""
        with self._read() as connection:
            found = _seal(connection, job_id, round_, attempt)
        if found is None:
            return None
        return StoredSeal(ReleaseRecord.from_json(found.record), found.in_force, found.question, found.app)

    def released(self, job_id: str, round_: int) -> StoredRelease | None:
        """The one release of a round, if there is one."""
        with self._read() as connection:
            return _released(connection, job_id, round_)

    def last_released(self, job_id: str, before: int) -> int:
        """The last round before this one of which there is a release; 0 for none."""
        with self._read() as connection:
            bounds = {"of_job": job_id, "before": before}
            return int(connection.value(queries.LAST_RELEASED, bounds) or 0)

    def release(self, record: ReleaseRecord, token: str, *, decision: Decision, question: bytes) -> str:
        """A release is about to be sent: the last check, and the note that forbids every other.

        Args:
            record: Of the attempt.
            token: The signed release.
            decision: By the policy now; the cohort rule that the node stated when it consented, and the one
                with which the scope was fixed, still count when they are stricter.
            question: Stands for the question, whatever the dataset's hash.

        Returns:
            The token that counts: the stored one when this very attempt was released before.

        Raises:
            LocalProtocolError: ``already_released``: another attempt of the round.
            CohortTooSmall: ``cohort_differs``.
            ConsentWithheld: ``holder_paused``; ``app_not_approved``; ``policy_changed``: since the decision.
        """
        past = msgspec.structs.replace(record, params=question).as_past
        with self._write() as connection:
            job = self._found(connection, record.job.hex())
            scope = scope_of(connection, job.asset, job.organisation, question, job.job_id)
            in_force = rule_in_force(
                rule_in_force(decision.rule.cohort, record.cohort.rule), scope.fixed_with
            )
            check_release(in_force, past, scope.releases, scope.reopened)
            if stored := _released(connection, job.job_id, record.round):
                return stored.token
            refuse_if_replaced(connection, decision)
            self._step(connection, job.job_id, Event.RELEASE, app=decision.app, **_decided(decision))
            values = {
                "job_id": job.job_id,
                "round": record.round,
                "attempt": record.attempt,
                "asset": job.asset,
                "organisation": job.organisation,
                "rule": in_force,
                "names": _json(record.names),
                "question": question,
                "roster": record.roster,
                "token": token,
                "released_at": self._clock(),
                "in_force": decision.in_force,
                "reopening": b"" if scope.reopened is None else scope.reopened.id,
            }
            connection.change(queries.ADD_RELEASE, values)
            return token

    def reopen(self, asset: str, reopening: Reopening, document: SignedReopening) -> bool:
        """Accept a verified reopening of the asset's cohort; return whether it is new.

        Raises:
            InvalidInput: ``reopening_superseded``.
            CohortTooSmall: ``cohort_not_named``.
        """
        with self._write() as connection:
            return accept_reopening(connection, asset, reopening, document, self._clock())

    def scope(self, asset: str, organisation: str, question: bytes | None = None) -> Scope:
        """What binds an asset and an organisation; also what was released for a question."""
        with self._read() as connection:
            return scope_of(connection, asset, organisation, question)

    def place(self, path: str, asset: str) -> None:
        """Remember under which asset a file, or a relation of a database, is joined.

        Raises:
            InvalidInput: ``asset_renamed``: under its new name the table would have no cohort.
        """
        with self._write() as connection:
            known = connection.value(queries.PLACE, {"of_path": path})
            if known is None:
                connection.change(queries.ADD_PLACE, {"path": path, "asset": asset})
            elif known != asset:
                raise InvalidInput(
                    f"{path} was joined as the asset {known!r} before, and is {asset!r} now",
                    code="asset_renamed",
                    remedy=f'write asset = "{known}" in its section of node.toml: cohorts are kept under it',
                )

    # --- what is in force -----------------------------------------------------------------------------

    def put_in_force(self, policy: str, settings: str) -> int:
        """Note, before anything is judged by them, the texts of policy and settings; no change is no new row.

        Returns:
            The number that decisions refer to.
        """
        hashes = {"policy_hash": _hash(policy), "settings_hash": _hash(settings)}
        with self._write() as connection:
            last = connection.row(queries.LAST_IN_FORCE)
            if last and (last.policy_hash, last.settings_hash) == tuple(hashes.values()):
                return int(last.number)
            values = {"policy": policy, "settings": settings, "since": self._clock()}
            return int(connection.value(queries.ADD_IN_FORCE, hashes | values))

    def app_approvals(self) -> tuple[AppApproval, ...]:
        """What officers have approved of apps, those withdrawn too."""
        with self._read() as connection:
            return app_approvals(connection)

    def pause(self) -> Pause | None:
        """The holder's pause; None while the node answers."""
        with self._read() as connection:
            return pause_of(connection)

    def check_running(self) -> None:
        """Let nothing go on while the holder has paused the node.

        Raises:
            ConsentWithheld: ``holder_paused``.
        """
        with self._read() as connection:
            refuse_if_paused(connection)

    # --- inside ---------------------------------------------------------------------------------------

    def _accept(self, connection: Connection, number: int) -> None:
        """Go on with a restored journal: beyond every number that was answered, and with nothing open.

        What the copy knows as released stays so: its release is in it, and no other can be made.
        """
        connection.change(tables.instance.update().values(number=number + 1))
        connection.change(
            tables.job.update()
            .where(tables.job.c.state.in_(REFUSABLE - {NodeJobState.RELEASED}))
            .values(state=NodeJobState.REFUSED, changed_at=self._clock())
        )
        connection.change(tables.seal.delete())

    def _step(
        self, connection: Connection, job_id: str, event: Event, *, app: int = 0, **values: object
    ) -> None:
        if event in _STOPPED_BY_A_PAUSE:
            # In the same transaction: once a pause is on record, or the end of the approval of the app at
            # work, nothing of these is recorded after it.
            refuse_if_paused(connection)
            refuse_if_ended(connection, app)
        state = after(self._found(connection, job_id).state, event)
        changed = {"of_job": job_id, "state": state, "changed_at": self._clock()}
        connection.change(queries.CHANGE_JOB, changed | values)

    def _found(self, connection: Connection, job_id: str) -> JobRecord:
        found = find_job(connection, job_id)
        if found is None:
            raise LocalProtocolError("this node was never asked that job", code="unknown_job")
        return found

    @contextlib.contextmanager
    def _read(self) -> Iterator[Connection]:
        with plain_errors(), self._database.reading() as connection:
            yield connection

    @contextlib.contextmanager
    def _write(self) -> Iterator[Connection]:
        """One transaction that takes the journal's number on, and the mirror after it."""
        with plain_errors():
            with self._database.writing() as connection:
                yield connection
                take_on(connection)
            self._mirror.follow(self._database)


def _seal(connection: Connection, job_id: str, round_: int, attempt: int) -> Any:
    place = {"of_job": job_id, "of_round": round_, "of_attempt": attempt}
    return connection.row(queries.SEAL, place)


def _released(connection: Connection, job_id: str, round_: int) -> StoredRelease | None:
    row = connection.row(queries.RELEASED, {"of_job": job_id, "of_round": round_})
    return None if row is None else StoredRelease(row.attempt, row.token)


def _decided(decision: Decision) -> dict[str, object]:
    """The columns of a job that say what it was decided by."""
    return {
        "rule": _json(decision.rule),
        "rule_number": decision.rule_number,
        "in_force": decision.in_force,
    }


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
