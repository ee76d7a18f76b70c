"""The broker's jobs driven by hand, what its store holds, and its home folder, as tests look at them."""

from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa

from kapok.broker.computation.assignments import AssignmentKey
from kapok.broker.computation.jobs import Jobs
from kapok.broker.store import Store
from kapok.broker.store.schema import EventRow, SealedChunkRow, SumChunkRow
from kapok.identity.certificates import TrustRoot
from kapok.identity.credentials import Credentials
from kapok.identity.issuing import issue, new_root
from kapok.identity.keyfiles import generate_key, make_private_folder, write_new_file
from kapok.identity.names import PartyName
from kapok.wire.messages import Assignment, OpenAttempt, RoundParameters

NOW = 1_800_000_000.0
DOMAIN = "kapok.test"


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


class Domain:
    """A trust domain that gives each party its certificate once in a test session."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now
        self.key = generate_key()
        self.root = TrustRoot(new_root(self.key, DOMAIN, now))
        self._known: dict[str, Credentials] = {}

    def credentials(self, organisation: str, role: str, name: str) -> Credentials:
        text = f"spiffe://{DOMAIN}/org/{organisation}/{role}/{name}"
        if text not in self._known:
            key = generate_key()
            certificate = issue(
                self.key, self.root.certificate, key.public_key(), PartyName.parse(text), now=self.now
            )
            self._known[text] = Credentials(key, certificate, self.root, self.now)
        return self._known[text]


class DrivenJobs(Jobs):
    """Jobs whose uploads and sums are done in one go."""

    def owed(self, node: str) -> dict[AssignmentKey, Assignment]:
        """What one node owes now."""
        return self.assignments({node: None})[node]

    def seal(self, caller: PartyName, job_id: str, token: str, chunks: Sequence[bytes]) -> None:
        """Take a whole sealed vector at once."""
        upload = self.begin_upload(caller, job_id, token)
        if upload is None:
            return
        with upload:
            upload.add(chunks)
            upload.finish()

    def steer(self, caller: PartyName, job_id: str, parameters: RoundParameters) -> None:
        """Take a round's parameters at once."""
        incoming = self.begin_parameters(caller, job_id, parameters.statement)
        if incoming is not None:
            for chunk in parameters.chunks():
                incoming.add([chunk])
            incoming.finish()

    def whole_parameters(self, node: PartyName, job_id: str, asked: OpenAttempt) -> bytes:
        """An attempt's parameters, as a node puts them together."""
        upload, chunks = self.parameters(node, job_id, asked.round, asked.attempt)
        return b"".join(self.parameters_chunk(upload, number) for number in range(chunks))

    def fold_all(self) -> None:
        """Fold everything that there is to fold."""
        for job_id in self.unfolded():
            while self.fold_some(job_id):
                pass


def history(store: Store, job_id: str) -> list[str]:
    """The events of a job, oldest first."""
    with store._engine.connect() as connection:
        rows = connection.scalars(
            sa.select(EventRow.event).where(EventRow.job == job_id).order_by(EventRow.id)
        )
        return list(rows)


def reasons(store: Store, job_id: str) -> list[tuple[str, str]]:
    """Code and party of those events of a job that have a code, oldest first."""
    with store._engine.connect() as connection:
        rows = connection.execute(
            sa.select(EventRow.code, EventRow.party)
            .where(EventRow.job == job_id, EventRow.code != "")
            .order_by(EventRow.id)
        )
        return [(code, party) for code, party in rows]


def stored_chunks(store: Store) -> tuple[int, int]:
    """How many chunks of sealed vectors and of sums are stored, over all jobs."""
    with store._engine.connect() as connection:
        sealed, summed = (
            connection.scalar(sa.select(sa.func.count()).select_from(table))
            for table in (SealedChunkRow, SumChunkRow)
        )
    return sealed, summed


def settle(
    credentials: Credentials, home: Path, listen: str = "127.0.0.1:0", level: str = "error", more: str = ""
) -> Path:
    """A broker's home folder as enrolment leaves it."""
    make_private_folder(home / "identity")
    for name, content in (
        ("key.pem", credentials.key_pem()),
        ("certificate.pem", credentials.certificate_pem),
        ("root.pem", credentials.root_pem),
    ):
        write_new_file(home / "identity" / name, content)
    (home / "broker.toml").write_text(f'listen = "{listen}"\nlog_level = "{level}"\n{more}')
    return home
