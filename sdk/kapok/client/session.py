"""A session of an analyst: everything that the command line and a notebook can ask for, asynchronous.

    question ─▶ resolve the dataset, verify it and its members ─▶ sign a specification ─▶ keep secrets ─▶ send
    answer   ◀─ read ◀─ unseal ◀─ verify consents, seals, releases ◀─ fetch ◀─ watch

`kapok.client.blocking` has the same verbs for those who do not write `await`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from kapok.client.analyses import Analyses
from kapok.client.catalogue import VerifiedDataset, choose_members, read_all, resolve, split_label
from kapok.client.connection import BrokerConnection
from kapok.client.jobs import JobFolder, JobRecord
from kapok.client.known import KnownMembers
from kapok.client.opening import read_specification
from kapok.client.preparing import prepared
from kapok.client.profile import Profile
from kapok.client.progress import SHOWN_DIGITS, Listener, Progress, Stopwatch, silent
from kapok.client.submission import Request, SealName, asking, prepare
from kapok.client.waiting import (
    JobView,
    follow,
    goes_on_by,
    not_at_broker,
    secrets_not_here,
    settle,
    view_of,
    view_or_why_not,
)
from kapok.documents.statements import JOB_TYP
from kapok.errors import KapokError, NotFound, Unavailable
from kapok.identity.names import Role
from kapok.logs.traces import span
from kapok.wire.dialler import Dialler

if TYPE_CHECKING:
    from kapok.client.explaining import Explanation
    from kapok.client.result import Result
    from kapok.client.training import TrainingRequest
    from kapok.documents.dataset import Dataset
    from kapok.protocols.paillier.private import PrivateKey
    from kapok.protocols.paillier.public import EncodedKey

__all__ = ["AsyncSession", "connect_async"]


class AsyncSession(Analyses):
    """An analyst's profile connected to its broker.

    Use it as an asynchronous context manager, or call `close`.
    """

    def __init__(
        self, profile: Profile, *, clock: Callable[[], float] = time.time, dialler: Dialler | None = None
    ) -> None:
        """Load the profile's identity, before anything is dialled.

        Args:
            profile: Of the analyst.
            clock: Seconds since the epoch.
            dialler: Reaches the broker, and spaces tries; over TLS when None.

        Raises:
            IdentityInvalid: certificate or key cannot be used; the error says how to mend it.
        """
        from kapok.documents.envelope import JwsSigner, JwsVerifier
        from kapok.identity.credentials import Credentials

        self.profile, self.clock = profile, clock
        self._credentials = Credentials.load(profile.home, clock=clock)
        if self._credentials.name.role is not Role.ANALYST:
            raise _not_an_analyst(self._credentials.name.role)
        self.name = self._credentials.name
        self.folder = JobFolder(profile.jobs_folder, profile.vault)
        self.known = KnownMembers(profile.known_folder)
        self.signer = JwsSigner(self._credentials)
        self.verifier = JwsVerifier(self._credentials.root_pem, clock)
        self.connection = BrokerConnection(profile, self._credentials, dialler or Dialler(), clock)
        self._key: tuple[int, PrivateKey] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Hang up. Jobs go on without us."""
        await self.connection.close()

    def result_key(self, notice: Callable[[str], None] = lambda _text: None) -> PrivateKey:
        """The profile's Paillier key, to ask under; made when there is none. See `Profile.result_key`.

        Args:
            notice: Told, in words, when a key is made.
        """
        return self._kept_key(lambda: self.profile.result_key(notice))

    def opening_key(self) -> PrivateKey:
        """The profile's Paillier key, to open sums with. See `Profile.opening_key`."""
        return self._kept_key(self.profile.opening_key)

    def _kept_key(self, read: Callable[[], PrivateKey]) -> PrivateKey:
        """A key that is read again only when its file has changed."""
        path = self.profile.key_path
        if self._key is None or not path.exists() or path.stat().st_mtime_ns != self._key[0]:
            key = read()
            self._key = (path.stat().st_mtime_ns, key)
        return self._key[1]

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
        return await self.ask(request, await self._dataset_of(sql, progress), progress)

    async def ask(self, request: Request, dataset: VerifiedDataset, progress: Listener) -> str:
        """Put a question of any kind to the members of a dataset; `wait` gives what comes of it.

        Returns:
            The job's identity.

        Raises:
            KapokError: as `query`.
        """
        record = await prepared(self, request, dataset, progress)
        await self.send(record, progress)
        return record.job_id

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
        return await explain(self, request, await self._dataset_of(sql, progress), progress)

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

    async def datasets(
        self, name: str | None = None, *, progress: Listener = silent
    ) -> list[VerifiedDataset]:
        """The datasets of the catalogue whose documents verify: of one name, or all.

        Args:
            name: ``heart``; None for all.
            progress: Told about each document that does not verify.
        """
        entries = await self.connection.with_retries(lambda broker: broker.catalogue.datasets(name))
        known, errors = await asyncio.to_thread(read_all, entries, self.verifier)
        for error in errors:
            progress(Progress(step="notice", text=f"a document is left out: {error.message} [{error.code}]"))
        return sorted(known, key=lambda one: one.label)

    async def dataset(self, name: str) -> VerifiedDataset:
        """One dataset by its name, or by name and hash as in ``heart@ab12cd``.

        Raises:
            NotFound: ``unknown_dataset``.
            InvalidInput: ``ambiguous_dataset``.
        """
        entries = await self.connection.with_retries(lambda broker: broker.catalogue.datasets(None))
        return resolve(*split_label(name), entries, self.verifier)

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

    def request(
        self,
        sql: str,
        seal: SealName | None = None,
        at_least: int | None = None,
        parties: Sequence[str] | None = None,
        deadline_s: int | None = None,
        computation: str = "query",
    ) -> Request:
        """What an analyst wants, with the profile's defaults for what is None. See `Request`."""
        settings = self.profile.settings
        return Request(
            sql=sql,
            seal=seal or settings.seal,
            at_least=at_least,
            parties=None if parties is None else tuple(parties),
            deadline_s=settings.deadline_s if deadline_s is None else deadline_s,
            computation=computation,
        )

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

    async def _dataset_of(self, sql: str, progress: Listener) -> VerifiedDataset:
        from kapok.computations.query.params import dataset_name_of

        wanted = await asyncio.to_thread(dataset_name_of, sql)
        entries = await self.connection.with_retries(lambda broker: broker.catalogue.datasets(None), progress)
        return resolve(wanted.name, wanted.prefix, entries, self.verifier)

    def specify(
        self, request: Request, dataset: VerifiedDataset, progress: Listener, typ: str = JOB_TYP
    ) -> JobRecord:
        """Write and sign a request's specification; nothing is kept or sent yet. See `prepare`."""
        from kapok.identity.expiry import ASKING_NOTICE_S, ends_soon

        def result_key() -> EncodedKey:
            key = self.result_key(lambda text: progress(Progress(step="notice", text=text)))
            return key.public.encode()

        if ending := ends_soon(self._credentials, self.clock(), ASKING_NOTICE_S):
            progress(Progress(step="notice", text=": ".join(ending)))
        self.known.check(dataset, request.parties)
        progress(asking(choose_members(dataset, request.parties)))
        return prepare(
            request,
            dataset,
            result_key=result_key,
            analyst=self.name,
            signer=self.signer,
            now=self.clock(),
            typ=typ,
        )

    def _left(self, record: JobRecord) -> float:
        """Seconds until a job's deadline."""
        _, specification, _ = read_specification(record.specification, self.verifier)
        return specification.deadline - self.clock()

    async def send(self, record: JobRecord, progress: Listener) -> None:
        """Submit; the same document again and again if need be, for the broker knows it by its hash."""
        # Told before and after: whoever is interrupted in between cannot know whether it has arrived.
        named = f"job {record.job_id[:SHOWN_DIGITS]}"
        progress(Progress(step="notice", text=named, job_id=record.job_id))
        try:
            with span("submit", job=record.job_id):
                await self.connection.with_retries(
                    lambda broker: broker.analyst.submit(record.specification), progress, self._left(record)
                )
        except KapokError as error:
            if not error.retryable:
                self.folder.close(record, "failed", error)
            else:
                goes_on_by(error, record.job_id, "sends it again")
            raise
        progress(Progress(step="submitted", text=named, job_id=record.job_id))


def _not_an_analyst(role: Role) -> KapokError:
    from kapok.errors import NotAuthorised

    return NotAuthorised(
        f"this folder's identity is of the role {role}; only analysts ask questions",
        remedy="name an analyst's folder with --home or KAPOK_HOME",
    )


async def connect_async(profile: Path | str | None = None) -> AsyncSession:
    """A session of the profile in that folder (KAPOK_HOME, or ``~/.kapok``, when None).

    Raises:
        NotFound: ``no_profile``.
        IdentityInvalid: the profile's identity cannot be used.
    """
    return await asyncio.to_thread(lambda: AsyncSession(Profile.load(profile)))
