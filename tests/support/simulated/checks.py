"""What must hold after every event, read from what left the nodes and from what lies on the disks.

Nothing here asks the code that is tested whether it is right: statements are read from the bytes that were
sent, tables with SQLite's own library.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from google.protobuf.message import Message

from kapok.errors import InternalError, KapokError
from kapok.protocols.secure_sum.messages import ReleaseStatement, SealStatement
from support.parties import _unb64
from support.simulated.trace import job_of

if TYPE_CHECKING:
    from kapok.client.result import Result
    from support.simulated.machines import Machine
    from support.simulated.world import World

ENDED: Final = frozenset({"finished", "failed", "cancelled"})
WAITS: Final = frozenset({"gathering", "sealing", "releasing", "steering"})
LATE_S: Final = 5.0
"""By its own clock a broker that has been up for so long has ended what is overdue."""
_ANSWERS: Final = frozenset({"ConsentRequest", "SealRequest", "ReleaseRequest"})
NO_REASON: Final = frozenset({"internal", "illegal_event", "wrong_state", "fold_failed", "bad_answer"})


class Checks:
    """The invariants of one run."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.released: dict[tuple[str, str, int], str] = {}
        self.sealed: dict[tuple[str, str, int, int], bytes] = {}
        self.cohorts: dict[str, tuple[str, ...]] = {}
        self.jobs: dict[str, str] = {}
        self.rosters: dict[str, tuple[str, ...]] = {}
        self.answers: dict[str, Any] = {}
        self.numbers: dict[str, int] = {}
        self.set_back: dict[str, int | None] = {}
        self._eyes: dict[str, sqlite3.Connection] = {}
        self._up_since: dict[str, float] = {}

    # --- what leaves a node ------------------------------------------------------------------------------

    def sent(self, who: str, message: Message) -> None:
        """A node says something: one vector is sealed in an attempt, one thing released in a round, ever."""
        kind = type(message).__name__
        if kind in _ANSWERS:
            self._is_mirrored(who)
        if kind == "SealRequest" and message.WhichOneof("part") == "header":
            self._seals(who, message.header.seal.split(".")[1])
        elif kind == "ReleaseRequest":
            self._releases(who, message.release.split(".")[1])

    def _is_mirrored(self, who: str) -> None:
        """The mirror of a journal has followed before anything is answered, if there is room to write it."""
        machine = self.world.machines[who]
        if self._number(machine) > _mirror(machine) and not machine.was_full:
            self.world.wrong(f"{who} answers before the mirror of its journal follows")

    def _seals(self, who: str, payload: str) -> None:
        """Two vectors under the same masks would give their difference away."""
        statement = msgspec.json.decode(_unb64(payload), type=SealStatement)
        place = (who, statement.job.hex(), statement.round, statement.attempt)
        vector = statement.roster + statement.vector_sha256
        if self.sealed.setdefault(place, vector) != vector:
            job = self.world.trace.job(statement.job.hex())
            self.world.wrong(f"{who} sealed two vectors in attempt {statement.attempt} of {job}")

    def _releases(self, who: str, payload: str) -> None:
        statement = msgspec.json.decode(_unb64(payload), type=ReleaseStatement)
        place = (who, statement.job.hex(), statement.round)
        if self.released.setdefault(place, payload) != payload:
            job = self.world.trace.job(statement.job.hex())
            self.world.wrong(f"{who} released two things in round {statement.round} of {job}")
        eye = self._eye(self.world.machines[who], "state/journal.db")
        row = eye.execute(
            "SELECT names FROM release WHERE job_id = ? AND round = ? AND attempt = ? AND roster = ?",
            (statement.job.hex(), statement.round, statement.attempt, statement.roster),
        ).fetchone()
        if row is None:
            self.world.wrong(f"{who} sends a release that is not in its journal")
            return
        names = tuple(msgspec.json.decode(row[0]))
        if self.cohorts.setdefault(who, names) != names:
            self.world.wrong(f"{who} released for two cohorts: {self.cohorts[who]} and {names}")

    # --- what the broker answers -------------------------------------------------------------------------

    def taken(self, message: Message) -> None:
        """The broker has taken something, and says so: then it is on its disk."""
        eye = self._eye(self.world.machines["broker"], "broker.db")
        match type(message).__name__:
            case "SubmitJobRequest":
                job_id = job_of(message.specification)
                if eye.execute("SELECT 1 FROM job WHERE id = ?", (job_id,)).fetchone() is None:
                    self.world.wrong(
                        f"the broker has taken {self.world.trace.job(job_id)} and does not keep it"
                    )
            case "ReleaseRequest":
                known = eye.execute("SELECT 1 FROM release WHERE token = ?", (message.release,)).fetchone()
                if known is None:
                    self.world.wrong("the broker has taken a release and does not keep it")
            case _:
                pass

    # --- what lies on a disk -----------------------------------------------------------------------------

    def wrote(self, machine: Machine) -> None:
        """Something has been committed."""
        if machine.name == "broker":
            self._broker(machine)
        elif machine.name in self.world.nodes:
            self._node(machine)

    def down(self, machine: Machine) -> None:
        """Its files are others from now on."""
        for key in [key for key in self._eyes if key.startswith(f"{machine.name} ")]:
            self._eyes.pop(key).close()
        self._up_since.pop(machine.name, None)

    def clock_set(self, machine: Machine) -> None:
        """What it owed by its clock before is one thing, and what it owes now another."""
        self._up_since.pop(machine.name, None)

    def rolled_back(self, machine: Machine, but: str) -> None:
        """What it has forgotten is not held against it; what has left it is."""
        if machine.name == "broker":
            self.jobs.clear()
        if but:
            self.set_back[machine.name] = None
        else:
            self.numbers.pop(machine.name, None)

    def _node(self, machine: Machine) -> None:
        eye = self._eye(machine, "state/journal.db")
        self._goes_on(machine, self._number(machine))
        twice = eye.execute(
            "SELECT job_id, round FROM release GROUP BY job_id, round HAVING COUNT(*) > 1"
        ).fetchall()
        if twice:
            self.world.wrong(f"{machine.name} has two releases of one round on record")
        cohorts = eye.execute("SELECT DISTINCT names FROM release").fetchall()
        if len(cohorts) > 1:
            self.world.wrong(f"{machine.name} has released for {len(cohorts)} cohorts")

    def _goes_on(self, machine: Machine, number: int) -> None:
        """To open a journal that was set back changes nothing; what is written has a new number."""
        if machine.name in self.set_back:
            found = self.set_back[machine.name] = self.set_back[machine.name] or number
            if number == found:
                return
            del self.set_back[machine.name]
        if number < self.numbers.get(machine.name, 0):
            self.world.wrong(f"{machine.name} goes on with a journal that was set back")
        self.numbers[machine.name] = number

    def _number(self, machine: Machine) -> int:
        """The number of a node's journal; 0 before it has one."""
        row = self._eye(machine, "state/journal.db").execute("SELECT number FROM instance").fetchone()
        return int(row[0]) if row else 0

    def _broker(self, machine: Machine) -> None:
        eye, now = self._eye(machine, "broker.db"), machine.clock()
        up = now - self._up_since.setdefault(machine.name, now) > LATE_S and not machine.full
        found = eye.execute("SELECT id, state, deadline FROM job").fetchall()
        for job_id, state, deadline in found:
            before = self.jobs.get(job_id)
            if before in ENDED and state != before:
                self.world.wrong(f"{self.world.trace.job(job_id)} was {before} and is {state}")
            if up and state in WAITS and now > deadline + LATE_S:
                self.world.wrong(f"{self.world.trace.job(job_id)} is {state} after its deadline")
            self.jobs[job_id] = state
        if len(found) < len(self.jobs):
            self.world.wrong("the broker has lost a job")

    def _eye(self, machine: Machine, file: str) -> sqlite3.Connection:
        key = f"{machine.name} {file}"
        if key not in self._eyes:
            path: Path = machine.home / file
            self._eyes[key] = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
        return self._eyes[key]

    # --- what an analyst gets ----------------------------------------------------------------------------

    def answered(self, machine: Machine, job_id: str, result: Result) -> None:
        """An answer is that of those who took part, all of them and nobody else, and never another one."""
        names = tuple(sorted(party.name.split("/")[4] for party in result.parties))
        truth = self.world.tables.truth(machine.fates[job_id].sql, names)
        if [tuple(row) for row in truth.rows] != result.rows:
            job = self.world.trace.job(job_id)
            self.world.wrong(f"{job} was answered {result.rows}, and the truth of {names} is {truth.rows}")
        said = (names, result.rows)
        if self.answers.setdefault(job_id, said) != said:
            self.world.wrong(f"{self.world.trace.job(job_id)} has two answers")

    def ended(self, machine: Machine, job_id: str, error: KapokError) -> None:
        """A job that ends without an answer ends for a reason that says what to do."""
        if isinstance(error, InternalError) or error.code in NO_REASON or not error.message:
            self.world.wrong(f"{self.world.trace.job(job_id)} ends for no reason: {error!r}")

    def close(self) -> None:
        """Let the files go."""
        for eye in self._eyes.values():
            eye.close()
        self._eyes.clear()


def _mirror(machine: Machine) -> int:
    """The number of a node's journal by the file that follows it."""
    try:
        return int((machine.home / "instance").read_bytes())
    except FileNotFoundError:
        return 0
