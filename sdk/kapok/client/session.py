"""A session of an analyst: everything that the command line and a notebook can ask for, asynchronous.

    question ─▶ resolve the dataset, verify it and its members ─▶ sign a specification ─▶ keep secrets ─▶ send
    answer   ◀─ read ◀─ unseal ◀─ verify consents, seals, releases ◀─ fetch ◀─ watch

`kapok.client.blocking` has the same verbs for those who do not write `await`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kapok.client.analyses import Analyses
from kapok.client.catalogue import VerifiedDataset
from kapok.client.jobs import JobRecord
from kapok.client.opening import read_specification
from kapok.client.profile import Profile
from kapok.client.progress import Listener, Stopwatch, silent
from kapok.client.submission import SealName
from kapok.client.waiting import (
    JobView,
    follow,
    not_at_broker,
    secrets_not_here,
    settle,
    view_of,
    view_or_why_not,
)
from kapok.errors import KapokError, NotFound, Unavailable

if TYPE_CHECKING:
    from kapok.client.explaining import Explanation
    from kapok.client.result import Result
    from kapok.client.training import TrainingRequest
    from kapok.documents.dataset import Dataset

__all__ = ["AsyncSession", "connect_async"]


class AsyncSession(Analyses):
    """Every verb of an analyst. Use it as an asynchronous context manager, or call `close`."""

    async def query(
        self,
        sql: str,
        *,
        seal: SealName | None = None,
        at_least: int | None = None,
        parties: Sequence[str] | None = None,
        deadline_s: int | None = None,
        progress: Listener = silent,
    ) -> Result:
        """Ask a question and wait for its answer.

        Args:
            sql: ``SELECT COUNT(*), AVG(x) FROM dataset WHERE … GROUP BY …``.
            seal: ``paillier`` or ``pad``; the profile's default when None.
            at_least: Least number of organisations that must take part; None: all that are asked. The broker
                goes on without the silent after its ``consent_grace_s`` (30 s by itself): the deadline
                must be later; and not at all once an earlier answer has fixed which nodes a sum is of.
            parties: Organisations to ask; None: all that joined the dataset.
            deadline_s: Seconds after which the job has failed; the profile's default when None.
            progress: Told how it goes on.

        Raises:
            KapokError: see `kapok.errors`; the class says what kind of thing went wrong.
        """
        watch = Stopwatch(progress)
        job_id = await self.submit(
            sql, seal=seal, at_least=at_least, parties=parties, deadline_s=deadline_s, progress=watch
        )
        return await self._followed(self.folder.load(job_id), watch)

    async def submit(
        self,
        sql: str,
        *,
        seal: SealName | None = None,
        at_least: int | None = None,
        parties: Sequence[str] | None = None,
        deadline_s: int | None = None,
        progress: Listener = silent,
    ) -> str:
        """Ask a question and return its job's identity at once; `wait` gives the answer. See `query`.

        Raises:
            KapokError: as `query`.
        """
        request = self.request(sql, seal, at_least, parties, deadline_s)
        return await self.ask(request, await self.dataset_of(sql, progress), progress)

    def rounds(self, job_id: str) -> int:
        """Most rounds that a job of this profile takes. Between two of them it waits for its analyst.

        Raises:
            NotFound: ``unknown_job``: this profile has no such job.
        """
        _, specification, _ = read_specification(self.folder.load(job_id).specification, self.verifier)
        return specification.rounds

    async def explain(
        self,
        sql: str,
        *,
        seal: SealName | None = None,
        at_least: int | None = None,
        parties: Sequence[str] | None = None,
        progress: Listener = silent,
    ) -> Explanation:
        """What each holder's node would say to a question. It spends nothing and counts for nothing.

        Only nodes that are connected can say; a question may still be refused later, when policy or history
        have changed. Arguments as for `query`.

        Raises:
            KapokError: the question cannot be asked, or the broker cannot be reached.
        """
        from kapok.client.explaining import INQUIRY_S, explain

        request = self.request(sql, seal, at_least, parties, INQUIRY_S)
        return await explain(self, request, await self.dataset_of(sql, progress), progress)

    async def train(self, request: TrainingRequest, *, progress: Listener = silent) -> Result:
        """Run a Flower app over the holders of a dataset; return its history. See `kapok.client.training`."""
        from kapok.client.training import train

        return await train(self, request, progress)

    async def wait(self, job_id: str, *, progress: Listener = silent) -> Result:
        """The answer of a job that was asked earlier, as soon as it is there; a training goes on for it.

        Args:
            job_id: Its identity, or the beginning of it.
            progress: Told how it goes on.

        Raises:
            NotFound: this profile has no such job.
            KapokError: why there is no answer.
        """
        record, watch = await self._record(job_id), Stopwatch.of(progress)
        known = await asyncio.to_thread(settle, self, record)
        if known is None and self.folder.trains(record.job_id):
            from kapok.client.training import resume

            return await resume(self, record, progress)
        return known or await self._followed(record, watch)

    async def result(self, job_id: str) -> Result:
        """The answer of a job, if it is there already; opens it if the sum is ready.

        Raises:
            Unavailable: ``not_ready``: the job is not done yet.
            NotFound: ``not_at_broker``: it was never submitted, or the broker has forgotten it.
            KapokError: as `wait`.
        """
        record = await self._record(job_id)
        known = await asyncio.to_thread(settle, self, record)
        if known is not None:
            return known
        try:
            return await follow(self, record, Stopwatch(silent), only_now=True)
        except NotFound as error:
            if error.code != "unknown_job":
                raise
            raise not_at_broker(record.job_id) from None

    async def cancel(self, job_id: str) -> None:
        """Withdraw a job that has not ended; one that the broker never got is not submitted any more.

        Raises:
            NotFound: this profile has no such job.
            KapokError: it cannot be cancelled any more.
        """
        whole = await self.whole_id(job_id)
        record = self.folder.load(whole) if whole in self.folder.known() else None
        is_open = record is not None and record.outcome == "open"
        try:
            await self.connection.with_retries(lambda broker: broker.analyst.cancel(whole))
        except NotFound:
            if not is_open:
                raise
        if record is not None and is_open:
            self.folder.close(record, "cancelled")

    async def whole_id(self, job_id: str) -> str:
        """The identity of this analyst's job that begins like this, in the profile or at the broker.

        Raises:
            NotFound: ``unknown_job``: neither has one, or the profile has none and no broker answers.
            InvalidInput: ``ambiguous_job`` or ``bad_job_id``.
        """
        try:
            return self.folder.whole_id(job_id)
        except NotFound as error:
            unknown = error
        try:
            statuses = await self.connection.with_retries(lambda broker: broker.analyst.jobs())
        except Unavailable:
            raise unknown from None
        found = [status.job_id for status in statuses if status.job_id.startswith(job_id)]
        if len(found) != 1:
            raise unknown
        return found[0]

    async def jobs(self) -> list[JobView]:
        """All jobs of this analyst that broker or profile know, newest first."""
        statuses = await self.connection.with_retries(lambda broker: broker.analyst.jobs())
        views = [await asyncio.to_thread(view_or_why_not, self, status) for status in statuses]
        told = {view.job_id for view in views}
        views += [self._kept_view(one) for one in self.folder.known() if one not in told]
        return sorted(views, key=lambda view: view.submitted_at, reverse=True)

    async def job(self, job_id: str) -> JobView:
        """One job, as the broker has it now.

        Raises:
            NotFound: neither this profile nor the broker has such a job.
        """
        whole = await self.whole_id(job_id)
        try:
            status = await self.connection.with_retries(lambda broker: broker.analyst.job(whole))
        except NotFound:
            return JobView.of_record(self.folder.load(whole))
        return await asyncio.to_thread(view_of, self, status)

    async def publish(self, path: Path | str) -> VerifiedDataset:
        """Sign the schema in a TOML file and publish it under its name.

        Raises:
            InvalidInput: ``bad_dataset``: the file is no schema that can be used.
        """
        from kapok.documents.dataset import Dataset

        return await self.publish_dataset(await asyncio.to_thread(Dataset.from_toml, Path(path)))

    async def publish_dataset(self, dataset: Dataset) -> VerifiedDataset:
        """Sign a schema and publish it under its name."""
        from kapok.documents.dataset import DATASET_TYP
        from kapok.documents.envelope import document_id

        content = dataset.to_payload()
        document = self.signer.sign(DATASET_TYP, content)
        await self.connection.with_retries(lambda broker: broker.catalogue.publish_dataset(document))
        return VerifiedDataset(document_id(content), dataset, content, self.name, (), ())

    async def _followed(self, record: JobRecord, watch: Stopwatch) -> Result:
        """The answer; sent again if the broker never got the job, or has lost it with its newest state."""
        try:
            return await follow(self, record, watch)
        except NotFound as error:
            if error.code != "unknown_job":
                raise
            await self.send(record, watch)
            return await follow(self, record, watch)

    async def _record(self, job_id: str) -> JobRecord:
        whole = await self.whole_id(job_id)
        if whole not in self.folder.known():
            raise secrets_not_here(whole)
        return self.folder.load(whole)

    def _kept_view(self, job_id: str) -> JobView:
        """A job that only this profile knows; of a damaged file, that it is damaged."""
        try:
            return JobView.of_record(self.folder.load(job_id))
        except KapokError as error:
            return JobView(job_id=job_id, state="damaged", sql="", submitted_at=0.0, failure=error)


async def connect_async(profile: Path | str | None = None) -> AsyncSession:
    """A session of the profile in that folder (KAPOK_HOME, or ``~/.kapok``, when None).

    Raises:
        NotFound: ``no_profile``.
        IdentityInvalid: the profile's identity cannot be used.
    """
    return await asyncio.to_thread(lambda: AsyncSession(Profile.load(profile)))
