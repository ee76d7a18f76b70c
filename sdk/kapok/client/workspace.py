"""An analyst's profile at work: identity, keys, the folder of jobs, the connection to the broker.

    request ─▶ verified dataset ─▶ signed specification ─▶ record with its secrets on disk ─▶ sent

Everything that asks stands on it: `kapok.client.session` has the verbs, `waiting` and `turns` what follows.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from kapok.client.catalogue import VerifiedDataset, choose_members, read_all, resolve, split_label
from kapok.client.connection import BrokerConnection
from kapok.client.imports import import_for_asking
from kapok.client.jobs import JobFolder, JobRecord
from kapok.client.known import KnownMembers
from kapok.client.opening import goes_on_by, read_specification
from kapok.client.profile import Profile
from kapok.client.progress import SHOWN_DIGITS, Listener, Progress, silent
from kapok.client.submission import Request, SealName, asking, prepare
from kapok.documents.statements import JOB_TYP
from kapok.errors import KapokError, NotAuthorised
from kapok.identity.names import Role
from kapok.logs.traces import span
from kapok.wire.dialler import Dialler

if TYPE_CHECKING:
    from kapok.protocols.paillier.private import PrivateKey
    from kapok.protocols.paillier.public import EncodedKey

__all__ = ["Workspace"]


class Workspace:
    """An analyst's profile, connected to its broker.

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

    async def dataset_of(self, sql: str, progress: Listener) -> VerifiedDataset:
        """The dataset that a SELECT is of. See `dataset`."""
        from kapok.computations.query.parse import reference_of

        wanted = await asyncio.to_thread(reference_of, sql)
        entries = await self.connection.with_retries(lambda broker: broker.catalogue.datasets(None), progress)
        return resolve(wanted.name, wanted.prefix, entries, self.verifier)

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

    async def prepared(
        self,
        request: Request,
        dataset: VerifiedDataset,
        progress: Listener,
        begin: Callable[[JobRecord], JobRecord] = lambda record: record,
    ) -> JobRecord:
        """Prepare a job in a thread, and keep its record. Whoever is interrupted meanwhile keeps nothing.

        Args:
            request: What is wanted.
            dataset: What it is about.
            progress: Told how it goes on.
            begin: Adds to the record before it is kept.

        Raises:
            KapokError: the question cannot be asked.
        """
        import_for_asking(request.computation)

        def work() -> JobRecord:
            record = begin(self.specify(request, dataset, progress))
            self.folder.save(record)
            self.known.remember(dataset)
            return record

        working = asyncio.ensure_future(asyncio.to_thread(work))
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            with contextlib.suppress(KapokError):
                self.folder.forget((await working).job_id)
            raise

    async def ask(self, request: Request, dataset: VerifiedDataset, progress: Listener) -> str:
        """Put a question of any kind to the members of a dataset; `wait` gives what comes of it.

        Returns:
            The job's identity.

        Raises:
            KapokError: as `query`.
        """
        record = await self.prepared(request, dataset, progress)
        await self.send(record, progress)
        return record.job_id

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

    def _left(self, record: JobRecord) -> float:
        """Seconds until a job's deadline."""
        _, specification, _ = read_specification(record.specification, self.verifier)
        return specification.deadline - self.clock()


def _not_an_analyst(role: Role) -> KapokError:
    return NotAuthorised(
        f"this folder's identity is of the role {role}; only analysts ask questions",
        remedy="name an analyst's folder with --home or KAPOK_HOME",
    )
