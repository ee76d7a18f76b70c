"""What every step of the runner works with, and what the steps share. See the package for the exchange."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import InitVar, dataclass, field
from typing import Final

from kapok.errors import ConsentWithheld
from kapok.nodes.apps.host import AppHost
from kapok.nodes.apps.running import RunningApps
from kapok.nodes.journal import JobRecord, Journal
from kapok.nodes.runner.admission import AdmittedJob, JoinedDataset, ReadSpec, admit
from kapok.nodes.runner.judging import InForce, check_has_rule
from kapok.nodes.runner.notes import Notes, Observer
from kapok.nodes.runner.open_jobs import OpenJob, OpenJobs
from kapok.nodes.runner.outgoing import Outgoing, Refusal
from kapok.nodes.runner.pace import Pace
from kapok.protocols.secure_sum.cohort import CohortStatement
from kapok.protocols.secure_sum.params import Signer, Verifier
from kapok.protocols.wraps import WrapKey

__all__ = ["Context", "refused_before"]

_DAY_S: Final = 86_400
# What a journal keeps of a question that is refused takes 3 KB.
_MOST_IN_DAY: Final = 10_000


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class Context:
    """Policy, journal, tables, keys and clock of one node.

    Attributes:
        name: The node's name.
        in_force: Who may ask what. It may be replaced while a step goes on: a step reads it once.
        journal: What outlives a restart.
        joined: Datasets by hash; may grow meanwhile: a step looks its own up once.
        signer: Signs with the node's identity.
        verifier: Verifies others' statements.
        tag_key: The private half of what this node's memberships name.
        apps: Which apps may run here, and how.
        clock: Seconds since the epoch.
        observer: Counts what is done.
        open_jobs_max: Most jobs open at a time.
        running: The apps that run, for the open jobs.
        open: The jobs that are open in memory.
        notes: Says and counts what is done.
        asked: How many new questions of each organisation are noted in a day.
    """

    name: str
    in_force: InForce
    journal: Journal
    joined: Mapping[str, JoinedDataset]
    signer: Signer
    verifier: Verifier
    tag_key: WrapKey
    apps: AppHost
    clock: Callable[[], float]
    observer: InitVar[Observer | None] = None
    open_jobs_max: InitVar[int] = 256
    running: RunningApps = field(init=False)
    open: OpenJobs = field(init=False)
    notes: Notes = field(init=False)
    asked: Pace = field(init=False)

    def __post_init__(self, observer: Observer | None, open_jobs_max: int) -> None:
        self.running = RunningApps(self.apps, self.clock)
        self.open = OpenJobs(open_jobs_max, self.running.forget)
        self.notes = Notes(observer)
        self.asked = Pace(_DAY_S, _MOST_IN_DAY)

    def known(self, job_id: str) -> OpenJob | None:
        """The open job, if it was consented to under the policy that is in force."""
        job = self.open.get(job_id)
        return job if job and job.decision.in_force == self.in_force.number else None

    def statement(self, job: OpenJob, question: bytes | None = None) -> CohortStatement:
        """What this node would state about the job's scope now.

        Args:
            job: The open job.
            question: Stands for an exchange of it; None for its question, as in a consent.
        """
        admitted = job.admitted
        scope = self.journal.scope(
            admitted.joined.asset,
            admitted.read.caller.organisation_id,
            admitted.question_key if question is None else question,
        )
        return scope.statement(job.rule.cohort)

    def admit(
        self, read: ReadSpec, record: JobRecord, entry: JoinedDataset | None, in_force: InForce
    ) -> AdmittedJob:
        """Check the specification, and that the journal counts it where its table's cohorts are kept.

        A try that was counted under one asset and answered from another would have neither the budget nor the
        cohort of the table that is read.

        Raises:
            KapokError: as `admission.admit`; ``not_authorised``, ``not_the_signer``; ``asset_changed``.
        """
        read.spec.check_signer(record.analyst)
        if entry is not None and record.asset != entry.asset:
            raise ConsentWithheld(
                "the job was first asked when this node had not joined the dataset, or had it under another "
                "asset",
                code="asset_changed",
                clause="specification.dataset",
                remedy="ask the question again, as a new job",
            )
        if entry is not None:
            # Before the question is parsed; what the rule says of the question follows when it is known.
            check_has_rule(read, entry, in_force)
        return admit(read, name=self.name, entry=entry, tag_key=self.tag_key)


def refused_before(record: JobRecord) -> list[Outgoing]:
    """The refusal that a job got already, again.

    Raises:
        ConsentWithheld: ``journal_restored``: it was refused without one.
    """
    if record.refusal:
        return [Refusal(record.job_id, record.refusal)]
    raise ConsentWithheld(
        "this node's journal was restored from a copy: jobs that were open then are refused",
        code="journal_restored",
        remedy="ask the question again",
    )
