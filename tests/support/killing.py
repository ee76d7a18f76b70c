"""Killed at random: real processes get SIGKILL in the middle of a question, and come back.

A seed says which question is asked, and who is killed when: so long after the job has come to a state, and
for how long it is away. What happens in between is the machine's: a seed that failed is run again with the
same plan, not with the same luck.
"""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from kapok.demo.network import Network
from kapok.demo.processes import command_line, environment

QUESTIONS = (
    ("SELECT COUNT(*) FROM heart", [[920]], ("gathering", "sealing", "releasing", "summed")),
    (
        "SELECT sex, COUNT(*) FROM heart GROUP BY sex",
        [[0, 194], [1, 726]],
        ("gathering", "sealing", "releasing"),
    ),
    ("SELECT COUNT(*), MEDIAN(age) FROM heart", [[920, 54.0]], ("sealing", "releasing", "steering")),
)
"""A question, its answer, and the states of its job in which somebody is killed."""
DEADLINE_S = 120
NAMED = frozenset({"deadline_passed"})
"""With which codes a question may end instead of its answer."""
AWAY = frozenset({"nobody_answers", "connection_lost", "call_timed_out", "handshake_timed_out", "hung_up"})
"""With which codes a command may end while the job goes on: `kapok job wait` takes it up again."""
_MOST_TIMES = 10
_PATIENCE_S = 300.0


@dataclass(frozen=True)
class Kill:
    """One process's end.

    Attributes:
        victim: A hospital, ``broker`` or ``analyst``.
        state: Of the job.
        after_s: How long after the job has come to that state, or passed it.
        away_s: How long it stays away.
    """

    victim: str
    state: str
    after_s: float
    away_s: float


@dataclass
class Outcome:
    """What became of a question.

    Attributes:
        job: Its job; empty if the analyst was killed before there was one.
        code: The named reason why there is no answer; empty if there is the right one.
        times: How often it was taken up again, as the broker was away for longer than the analyst's patience.
        killed: Who was killed, in that order, and in which state the job was then.
    """

    job: str = ""
    code: str = ""
    times: int = 0
    killed: list[tuple[str, str]] = field(default_factory=list)


class Killing:
    """Kills processes of one network, seed by seed."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._daemons = network.nodes | {"broker": network.broker}

    def plan(self, seed: int) -> tuple[int, list[Kill]]:
        """The number of the question, and who is killed."""
        source = random.Random(seed)
        question = source.randrange(len(QUESTIONS))
        states = sorted(source.choices(QUESTIONS[question][2], k=source.choice((1, 1, 2, 3))))
        order = {state: place for place, state in enumerate(QUESTIONS[question][2])}
        victims = [*self._daemons, "broker", "analyst"]
        return question, [
            Kill(source.choice(victims), state, source.choice((0.0, 0.4 * source.random())), source.random())
            for state in sorted(states, key=order.__getitem__)
        ]

    def run(self, seed: int) -> Outcome:
        """Ask, kill, bring back, see what has become of the question; all run again afterwards.

        Raises:
            AssertionError: another answer than the right one, a traceback, a hang, or an unnamed error.
        """
        number, kills = self.plan(seed)
        sql, truth, _ = QUESTIONS[number]
        outcome, before = Outcome(), self._jobs()
        asking = self._begin("query", sql, "--json", "--deadline", str(DEADLINE_S))
        for kill in kills:
            outcome.job = self._reached(kill.state, before, asking)
            time.sleep(kill.after_s)
            outcome.killed.append((kill.victim, self._state(outcome.job)))
            if kill.victim == "analyst":
                asking.kill()
                asking.communicate()
                outcome.job = outcome.job or self._new(before)
                if not outcome.job:
                    return outcome  # nothing was asked
                asking = self._begin("job", "wait", outcome.job, "--json")
                continue
            self._daemons[kill.victim].kill()
            time.sleep(kill.away_s)
            self._daemons[kill.victim].start()
            self._daemons[kill.victim].wait_ready()
        out, err = self._end(asking, outcome)
        outcome.job = outcome.job or self._new(before)
        outcome.code = self._read(out, err, asking.returncode, truth, seed)
        while outcome.code in AWAY:
            outcome.times += 1
            assert outcome.times < _MOST_TIMES, f"seed {seed}: {err}"
            asking = self._begin("job", "wait", outcome.job, "--json")
            out, err = self._end(asking, outcome)
            outcome.code = self._read(out, err, asking.returncode, truth, seed)
        self._check_releases(outcome.job, seed)
        return outcome

    def _end(self, asking: subprocess.Popen[str], outcome: Outcome) -> tuple[str, str]:
        try:
            return asking.communicate(timeout=_PATIENCE_S)
        except subprocess.TimeoutExpired:
            asking.kill()
            asking.communicate()
            raise AssertionError(f"the question hangs; killed: {outcome.killed}") from None

    def _read(self, out: str, err: str, status: int, truth: list[list[float]], seed: int) -> str:
        """The code of an error that is named as it must be; empty for the right answer."""
        assert "Traceback" not in out + err, f"seed {seed}: {err}"
        if status == 0:
            assert json.loads(out)["rows"] == truth, f"seed {seed}: {out}"
            return ""
        code = json.loads(err[err.index('{\n  "error"') :])["error"]["code"] if '"error"' in err else err
        assert code in NAMED | AWAY, f"seed {seed}: {err or out}"
        return code

    def _check_releases(self, job: str, seed: int) -> None:
        """All hospitals that have released a round have released the same attempt of it, for one roster."""
        released: dict[int, set[tuple[int, str]]] = {}
        for node in self._network.nodes.values():
            for round_, attempt, names in _read_only(
                node.home / "state" / "journal.db",
                "SELECT round, attempt, names FROM release WHERE job_id = ?",
                job,
            ):
                released.setdefault(round_, set()).add((attempt, names))
        assert all(len(found) == 1 for found in released.values()), f"seed {seed}: {released}"

    def _begin(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command_line(arguments, self._network.analyst),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )

    def _jobs(self) -> set[str]:
        return {path.stem for path in (self._network.analyst / "jobs").glob("*.json")}

    def _new(self, before: set[str]) -> str:
        return next(iter(self._jobs() - before), "")

    def _reached(self, state: str, before: set[str], asking: subprocess.Popen[str]) -> str:
        """Wait until the job is in a state, or past it; return the job."""

        def there() -> bool:
            job = self._new(before)
            return asking.poll() is not None or self._passed(job, state)

        _until(there)
        return self._new(before)

    def _passed(self, job: str, state: str) -> bool:
        events = _read_only(
            self._network.broker.home / "broker.db", "SELECT state FROM event WHERE job = ?", job
        )
        return state in {found for (found,) in events} or self._state(job) in (state, "finished", "failed")

    def _state(self, job: str) -> str:
        rows = _read_only(self._network.broker.home / "broker.db", "SELECT state FROM job WHERE id = ?", job)
        return str(rows[0][0]) if rows else ""


def _until(there: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE_S
    while not there():
        assert time.monotonic() < end, "the job does not come to that state"
        time.sleep(0.005)


def _read_only(path: Path, sql: str, *given: str) -> list[tuple]:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=30)) as connection:
        return connection.execute(sql, given).fetchall()
