"""The analyst's own record of each job: what it must keep so that the sum can be opened, now or later.

    <home>/jobs/<job id>.json    the question and, until the job has ended, its secrets; mode 0600
    <home>/jobs/<job id>.arrow   the answer, once it has been opened

The record is on disk before the specification leaves, so that a lost connection, `--detach` and a restart
lose nothing. The secrets (receiver key, tag seed, and how far a job of several rounds is) are locked with the
profile's passphrase, if it has one (`kapok.client.vault`), and deleted as soon as the answer is opened or the
job has failed for good: whoever takes the folder later cannot open a sum that the broker kept.

That a job has failed is often the broker's unsigned word. Believing it gives the broker nothing: it can
destroy the answer in this way, and it can as well never hand out the sum. Keeping the secrets for a sum that
may yet come would give something to whoever takes the folder.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import msgspec

from kapok.client.vault import Locked, Vault
from kapok.errors import InvalidInput, KapokError, NotFound, error_class
from kapok.errors.secrecy import NeverPickled

__all__ = ["Failure", "JobFolder", "JobRecord", "Outcome", "Turn"]

Outcome = Literal["open", "opened", "failed", "cancelled"]

_JOB_ID: Final = re.compile(r"[0-9a-f]{4,64}\Z")
_WHOLE_ID: Final = 64


class Failure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An error as it is kept: everything that its class needs to be raised again."""

    kind: str
    code: str
    message: str
    remedy: str | None = None
    clause: str | None = None
    party: str | None = None

    @classmethod
    def of(cls, error: KapokError) -> Failure:
        """Take an error down."""
        return cls(
            kind=type(error).__name__,
            code=error.code,
            message=error.message,
            remedy=error.remedy,
            clause=error.clause,
            party=error.party,
        )

    def error(self) -> KapokError:
        """The same error again."""
        return error_class(self.kind)(
            self.message, code=self.code, remedy=self.remedy, clause=self.clause, party=self.party
        )


class Turn(NeverPickled, msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a job of several rounds is: the round that was prepared last, on disk before it is sent.

    Attributes:
        round: From 2.
        parameters: What the nodes are told, as the computation encoded it.
        tag_seed: Seed of this round's tag, 32 bytes.
        state: What the computation keeps until this round's sum.
        data_versions: Who took part in the first round, by name, and from which state of its data.
    """

    round: int
    parameters: bytes
    tag_seed: bytes
    state: bytes
    data_versions: dict[str, str]

    def __repr__(self) -> str:
        return f"Turn(round={self.round}, <hidden>)"


class _Secrets(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What of a record is locked. A record that was locked before there were rounds has the first two."""

    receiver_key: bytes | None
    tag_seed: bytes | None
    turn: Turn | None = None


class JobRecord(NeverPickled, msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One job as its analyst keeps it.

    Attributes:
        job_id: Lower-case hex.
        sql: The question as it was typed; of a training, in words.
        specification: Signed specification, as it was or will be submitted.
        dataset: Payload of the dataset's document, which says how to read the sum.
        submitted_at: Seconds since the epoch, by this machine's clock.
        outcome: ``open`` until the answer has been opened or the job has ended without one.
        receiver_key: Private HPKE key of this job; None once the job has ended, or while it is locked.
        tag_seed: Seed of the tag; likewise.
        turn: Of a job of several rounds, once the first sum was opened; likewise.
        locked: All of them under the profile's passphrase; `JobFolder.unlock` opens them.
        failure: Why the job ended without an answer.
    """

    job_id: str
    sql: str
    specification: str
    dataset: bytes
    submitted_at: float
    outcome: Outcome = "open"
    receiver_key: bytes | None = None
    tag_seed: bytes | None = None
    turn: Turn | None = None
    locked: Locked | None = None
    failure: Failure | None = None

    def __repr__(self) -> str:
        return f"JobRecord({self.job_id}, {self.outcome})"


@dataclass(frozen=True, slots=True)
class JobFolder:
    """The records of one profile, and what locks the secrets in them."""

    path: Path
    vault: Vault = field(default_factory=Vault, repr=False, compare=False)

    def save(self, record: JobRecord) -> None:
        """Write a record, whole or not at all, its secrets locked; it is on disk when this returns.

        Raises:
            InvalidInput: ``bad_folder`` or ``bad_file`` when it cannot be written.
            IdentityInvalid: ``folder_too_open`` when others can write into the folder.
        """
        from kapok.identity.keyfiles import make_private_folder, replace_file

        secrets = _Secrets(record.receiver_key, record.tag_seed, record.turn)
        if self.vault.locks and secrets != _Secrets(None, None):
            locked = self.vault.lock(msgspec.json.encode(secrets), _purpose(record.job_id))
            record = msgspec.structs.replace(
                record, receiver_key=None, tag_seed=None, turn=None, locked=locked
            )
        make_private_folder(self.path)
        replace_file(self._file(record.job_id), msgspec.json.encode(record))

    def unlock(self, record: JobRecord) -> JobRecord:
        """The record with its secrets open; as it is, if they are not locked.

        Raises:
            IdentityInvalid: ``passphrase_needed`` or ``passphrase_wrong``.
            InvalidInput: ``bad_vault``.
        """
        if record.locked is None:
            return record
        content = self.vault.unlock(record.locked, _purpose(record.job_id), self._file(record.job_id))
        secrets = msgspec.json.decode(content, type=_Secrets)
        return msgspec.structs.replace(
            record,
            receiver_key=secrets.receiver_key,
            tag_seed=secrets.tag_seed,
            turn=secrets.turn,
            locked=None,
        )

    def close(self, record: JobRecord, outcome: Outcome, failure: KapokError | None = None) -> JobRecord:
        """Record how the job ended and delete its secrets, locked or not."""
        closed = msgspec.structs.replace(
            record,
            outcome=outcome,
            failure=Failure.of(failure) if failure else None,
            receiver_key=None,
            tag_seed=None,
            turn=None,
            locked=None,
        )
        self.save(closed)
        return closed

    def forget(self, job_id: str) -> None:
        """Remove the record of a job that was never submitted."""
        self._file(job_id).unlink(missing_ok=True)

    def load(self, job_id: str) -> JobRecord:
        """The record of one job, by its identity or the beginning of it.

        Raises:
            NotFound: ``unknown_job``: this profile has no such job.
            InvalidInput: ``ambiguous_job``: several begin like this; ``bad_job_file``: the file is damaged.
        """
        path = self._file(self.whole_id(job_id))
        try:
            return msgspec.json.decode(path.read_bytes(), type=JobRecord)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise InvalidInput(
                f"{path}, a job's file, is damaged",
                code="bad_job_file",
                remedy=f"bring it back from a backup, or give the job up: rm {shlex.quote(str(path))}",
            ) from None
        except OSError as error:
            raise InvalidInput(
                f"{path} cannot be read: {error.strerror}",
                code="bad_job_file",
                remedy="run as the user who owns it",
            ) from None

    def whole_id(self, job_id: str) -> str:
        """The identity of this profile's job that begins like this.

        Raises:
            NotFound: ``unknown_job``.
            InvalidInput: ``ambiguous_job`` or ``bad_job_id``.
        """
        if not _JOB_ID.match(job_id):
            raise InvalidInput(
                f"{job_id!r} is not a job's identity",
                code="bad_job_id",
                remedy="give at least its first 4 hexadecimal digits, as `kapok job list` shows them",
            )
        found = [known for known in self.known() if known.startswith(job_id)]
        if not found:
            raise NotFound(
                f"this profile has no job {job_id}",
                code="unknown_job",
                remedy="`kapok job list` shows its jobs; for another profile's, name its folder (--home)",
            )
        if len(found) > 1:
            raise InvalidInput(
                f"{len(found)} jobs begin with {job_id}", code="ambiguous_job", remedy="give more digits"
            )
        return found[0]

    def known(self) -> list[str]:
        """The identities of all jobs that have a record here, sorted."""
        return sorted(file.stem for file in self.path.glob("*.json") if len(file.stem) == _WHOLE_ID)

    def trains(self, job_id: str) -> bool:
        """Whether a job is a training: what is kept of its exchanges lies in a folder of its own."""
        return self.training_folder(job_id).is_dir()

    def training_folder(self, job_id: str) -> Path:
        """Where what is kept of a training's exchanges lies, or would lie."""
        return self.path / f"{job_id}.training"

    def answer_file(self, job_id: str) -> Path:
        """Where a job's opened answer lies, or would lie."""
        return self.path / f"{job_id}.arrow"

    def _file(self, job_id: str) -> Path:
        return self.path / f"{job_id}.json"


def _purpose(job_id: str) -> str:
    return f"job {job_id}"
