"""The apps that run for the jobs that are open: one process for each, from its first round to the job's end.

What an app keeps between rounds (its context's state) is kept here after each of them, and counts once the
node has released that round: each begins with what was there after the last one that was released. A round
that went on without this node, an attempt that was voided, a process that was stopped leave no trace in it.
The same round asked again, for a roster with other keys, gets the reply that is there already: an app is
never asked the same twice while the node remembers, and the approval by which it answered holds.
"""

from __future__ import annotations

import hashlib
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from kapok.computations.engines import Engine
from kapok.documents.dataset import Dataset
from kapok.documents.statements import MOST_DEADLINE_S
from kapok.errors.secrecy import NeverPickled
from kapok.flower.messages import Instruction, addressed
from kapok.identity.keyfiles import make_private_folder, replace_file
from kapok.nodes.apps.host import AppHost, HostedApp
from kapok.nodes.apps.process import AppProcess

__all__ = ["RunningApps", "AppJob", "RoundApp"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AppJob:
    """What an app works for.

    Attributes:
        job_id: Lower-case hex.
        hosted: What lets it run.
        columns: What it sees of the table.
        dataset: The table's schema.
        members: Names of all nodes of the job, sorted.
        node: This node's.
        deadline: Of the job, seconds since the epoch.
    """

    job_id: str
    hosted: HostedApp
    columns: tuple[str, ...]
    dataset: Dataset
    members: tuple[str, ...]
    node: str
    deadline: float


@dataclass(slots=True)
class _Work(NeverPickled):
    """One job's app: its process, by which approval, over which version of the data, and its last round."""

    process: AppProcess | None = None
    hosted: HostedApp | None = None
    version: str = ""
    after: int = 0
    asked: tuple[int, str, bytes, HostedApp] | None = field(default=None, repr=False)
    reply: bytes = field(default=b"", repr=False)


class RunningApps:
    """The apps of all open jobs. Threads may call it; one job is worked on by one of them.

    Args:
        host: Starts them.
        clock: Seconds since the epoch.
    """

    def __init__(self, host: AppHost, clock: Callable[[], float] = time.time) -> None:
        self.host = host
        self._folder, self._clock = host.states_folder, clock
        self._work: dict[str, _Work] = {}
        self._guard = threading.Lock()

    def clear(self) -> None:
        """When the node starts: remove states that no job can need any more."""
        for folder in self._folder.glob("*"):
            if folder.stat().st_mtime < self._clock() - MOST_DEADLINE_S:
                shutil.rmtree(folder, ignore_errors=True)

    def over(self, job: AppJob, engine: Engine, version: str, number: int, released: int) -> RoundApp:
        """The job's app over the table, for one round; nothing is started before it is used.

        Args:
            job: What it works for.
            engine: Beside the table.
            version: Of the table's data; over another one the app is started anew.
            number: Of the round.
            released: The last round before it that this node has released; 0 for none.
        """
        with self._guard:
            work = self._work.setdefault(job.job_id, _Work())
        return RoundApp(self, job, work, engine, version, number, released)

    def forget(self, job_id: str) -> None:
        """A job is not open any more: stop its app. What it kept stays until the job has ended."""
        with self._guard:
            work = self._work.pop(job_id, None)
        if work is not None and work.process is not None:
            work.process.close()

    def end(self, job_id: str) -> None:
        """A job has ended: stop its app, and forget what it kept."""
        self.forget(job_id)
        shutil.rmtree(self._folder / job_id, ignore_errors=True)

    def close(self) -> None:
        """Stop all."""
        for job_id in list(self._work):
            self.forget(job_id)

    def remaining_s(self, job: AppJob) -> float:
        """What is left of a job's time, in seconds."""
        return max(job.deadline - self._clock(), 1.0)

    def keep(self, job_id: str, number: int, state: bytes, released: int) -> None:
        """Keep an app's state after a round beside the one that it began with; others have served."""
        folder = self._folder / job_id
        make_private_folder(self._folder)
        make_private_folder(folder)
        replace_file(folder / f"{number:06}", state)
        for file in folder.glob("[0-9]*"):
            if int(file.name) not in (released, number):
                file.unlink(missing_ok=True)

    def state_after(self, job_id: str, number: int) -> bytes:
        """What an app kept in a round; empty where there was none, and where it kept nothing."""
        try:
            return (self._folder / job_id / f"{number:06}").read_bytes()
        except FileNotFoundError:
            return b""


class RoundApp(NeverPickled):
    """An app over one holder's table, for one round. As `kapok.computations.federated.contribution.App`."""

    def __init__(
        self,
        apps: RunningApps,
        job: AppJob,
        work: _Work,
        engine: Engine,
        version: str,
        number: int,
        released: int,
    ) -> None:
        self._apps, self._job, self._work = apps, job, work
        self._engine, self._version = engine, version
        self._number, self._released = number, released

    @property
    def rows(self) -> int:
        """Rows of the table that it sees.

        Raises:
            KapokError: the app cannot be started.
        """
        return self._ready().rows

    @property
    def metrics(self) -> Mapping[str, tuple[float, float]]:
        """What it may tell beside the model: least and largest, by name. Empty: whatever is finite."""
        return self._job.hosted.rule.told

    def call(self, instruction: Instruction) -> bytes:
        """Have it do as instructed; the same again in a round and by one approval gets the same reply.

        Raises:
            KapokError: it gave none.
        """
        work, job = self._work, self._job
        asked = (self._number, self._version, hashlib.sha256(instruction.content).digest(), job.hosted)
        if work.asked == asked:
            return work.reply
        process = self._ready(fresh=True)
        run_id, node_id = int(job.job_id[:16], 16), int.from_bytes(_digest(job.node)[:8])
        message = addressed(instruction, run_id=run_id, node_id=node_id)
        try:
            reply = process.call(message, self._apps.remaining_s(job))
            self._apps.keep(job.job_id, self._number, process.state, self._released)
        except BaseException:
            # What its state is now nobody knows, or it is not kept.
            self._stop()
            raise
        work.asked, work.after, work.reply = asked, self._number, reply
        return reply

    def _ready(self, *, fresh: bool = False) -> AppProcess:
        """A process over these data; with `fresh` one that has done what was released, and no more."""
        work, job = self._work, self._job
        fits = work.version == self._version and (not fresh or work.after == self._released)
        # An approval may have been replaced meanwhile, by one with other limits.
        if work.process is not None and fits and work.hosted == job.hosted:
            return work.process
        self._stop()
        state = self._apps.state_after(job.job_id, self._released)
        work.version, work.hosted, work.after = self._version, job.hosted, self._released
        work.process = self._apps.host.start(
            job.hosted,
            job_id=job.job_id,
            node=job.node,
            node_config={
                "partition-id": job.members.index(job.node),
                "num-partitions": len(job.members),
            },
            engine=self._engine,
            dataset=job.dataset,
            columns=job.columns,
            state=state,
        )
        return work.process

    def _stop(self) -> None:
        process, self._work.process = self._work.process, None
        if process is not None:
            process.close()


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
