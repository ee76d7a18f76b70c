"""Jobs that are open in memory: their keys, and the last sealed vector. Lost with the process, on purpose."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from kapok.errors import Unavailable
from kapok.nodes.journal import Decision
from kapok.nodes.policy import Rule
from kapok.nodes.runner.admission import AdmittedJob
from kapok.nodes.runner.outgoing import Seal
from kapok.protocols.secure_sum.cohort import CohortStatement
from kapok.protocols.secure_sum.holder import Holder

__all__ = ["OpenJob", "OpenJobs", "SentSeal"]


@dataclass(frozen=True, slots=True)
class SentSeal:
    """A sealed vector with the roster it was sealed under: the same question again gets the same bytes."""

    round: int
    attempt: int
    consents: frozenset[str] = field(repr=False)
    seal: Seal


@dataclass(slots=True)
class OpenJob:
    """A job that this node consented to since it started, and what it stated about the scope then."""

    admitted: AdmittedJob
    decision: Decision
    holder: Holder
    stated: CohortStatement
    sent: SentSeal | None = None

    @property
    def rule(self) -> Rule:
        """The rule by which it is answered."""
        return self.decision.rule


class OpenJobs:
    """The open jobs by id, and one lock for each job that is being worked on."""

    def __init__(self, most: int, forgotten: Callable[[str], None] = lambda _job_id: None) -> None:
        self._most, self._forgotten = most, forgotten
        self._jobs: dict[str, OpenJob] = {}
        self._locks: dict[str, tuple[threading.Lock, int]] = {}
        self._guard = threading.Lock()

    def __len__(self) -> int:
        return len(self._jobs)

    def get(self, job_id: str) -> OpenJob | None:
        """The job, if it is open."""
        return self._jobs.get(job_id)

    def add(self, job: OpenJob) -> None:
        """Keep a job's keys."""
        with self._guard:
            self._jobs[job.admitted.job_id] = job

    def forget(self, job_id: str) -> None:
        """Drop a job's keys and its sealed vector, and stop what works for it."""
        with self._guard:
            self._jobs.pop(job_id, None)
        self._forgotten(job_id)

    def check_room(self, job_id: str) -> None:
        """Refuse another job when too many are open.

        Raises:
            Unavailable: ``too_many_jobs``.
        """
        if job_id not in self._jobs and len(self._jobs) >= self._most:
            raise Unavailable(
                "this node has as many open jobs as it may have",
                code="too_many_jobs",
                clause="node.open_jobs_max",
                remedy="ask again when others have ended",
            )

    def expired(self, now: float) -> list[str]:
        """Jobs whose deadline has passed, but those that are worked on just now."""
        with self._guard:
            return [
                job_id
                for job_id, job in self._jobs.items()
                if job.admitted.read.spec.deadline <= now and job_id not in self._locks
            ]

    @contextmanager
    def working_on(self, job_id: str) -> Iterator[None]:
        """One thing at a time for each job."""
        with self._guard:
            lock, users = self._locks.get(job_id, (threading.Lock(), 0))
            self._locks[job_id] = (lock, users + 1)
        try:
            with lock:
                yield
        finally:
            with self._guard:
                lock, users = self._locks[job_id]
                if users == 1:
                    del self._locks[job_id]
                else:
                    self._locks[job_id] = (lock, users - 1)
