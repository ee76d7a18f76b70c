"""Queries over attempts, their rosters, parameters and releases."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from sqlalchemy import bindparam, delete, exists, func, select

from kapok.broker.store.brokers import BROKER_DIGITS
from kapok.broker.store.rows import Rows, all_of
from kapok.broker.store.schema import (
    AttemptRow,
    JobRow,
    ParametersChunkRow,
    ParametersRow,
    ReleaseRow,
    RosterRow,
)
from kapok.persistence import Prepared

__all__ = ["AttemptTable", "Released", "Seat"]


class Seat(NamedTuple):
    """A member of an attempt: values, for nothing of it ever changes. See `RosterRow`."""

    node: str
    consent: str
    scope: str | None


class Released(NamedTuple):
    """An attempt of which releases are in.

    Attributes:
        attempt: Its row number.
        receiver: The organisation, in full, that they are for.
        names: Of its members, sorted by their UTF-8 bytes.
        releases: How many there are.
    """

    attempt: int
    receiver: str
    names: tuple[str, ...]
    releases: int


_MOST_LOOKED_AT: Final = 16

# --- attempts

_OF_JOB: Final = AttemptRow.job == bindparam("job")
_LATEST: Final = Prepared(
    all_of(AttemptRow).where(_OF_JOB).order_by(AttemptRow.round.desc(), AttemptRow.number.desc()).limit(1)
)
_OF_ROUND: Final = Prepared(
    all_of(AttemptRow).where(
        _OF_JOB, AttemptRow.round == bindparam("round"), AttemptRow.state == bindparam("state")
    )
)
_IN_STATE: Final = Prepared(
    all_of(AttemptRow).where(AttemptRow.state == bindparam("state")).order_by(AttemptRow.id)
)
_HAS_RELEASES: Final = exists().where(ReleaseRow.attempt == AttemptRow.id)
_RELEASED_OF: Final = Prepared(
    select(
        AttemptRow.id,
        JobRow.organisation,
        select(func.count()).where(ReleaseRow.attempt == AttemptRow.id).scalar_subquery(),
    )
    .select_from(AttemptRow)
    .join(JobRow, JobRow.id == AttemptRow.job)
    .where(JobRow.dataset == bindparam("dataset"), _HAS_RELEASES)
    .order_by(JobRow.ordinal.desc(), AttemptRow.id.desc())
    .limit(bindparam("most"))
)
_NEWEST_RELEASED: Final = Prepared(
    select(AttemptRow.id)
    .join(JobRow, JobRow.id == AttemptRow.job)
    .where(
        JobRow.dataset == bindparam("dataset"),
        JobRow.organisation == bindparam("organisation"),
        _HAS_RELEASES,
    )
    .order_by(JobRow.ordinal.desc(), AttemptRow.id.desc())
    .limit(_MOST_LOOKED_AT)
)

# --- rosters

_OF_ATTEMPT: Final = RosterRow.attempt == bindparam("attempt")
_OF_ATTEMPTS: Final = RosterRow.attempt.in_(bindparam("attempts", expanding=True))
_ROSTER: Final = Prepared(select(RosterRow.node, RosterRow.consent, RosterRow.scope).where(_OF_ATTEMPT))
_ROSTERS: Final = Prepared(select(RosterRow.attempt, RosterRow.node).where(_OF_ATTEMPTS))
_NAMES: Final = Prepared(select(RosterRow.node).where(_OF_ATTEMPT))
_SEATED: Final = Prepared(select(RosterRow.node).where(_OF_ATTEMPT, RosterRow.node == bindparam("node")))
_SIZE: Final = Prepared(select(func.count()).select_from(RosterRow).where(_OF_ATTEMPT))
_OCCUPIED: Final = Prepared(
    select(RosterRow.attempt)
    .join(AttemptRow, AttemptRow.id == RosterRow.attempt)
    .where(
        RosterRow.scope.in_(bindparam("scopes", expanding=True)),
        AttemptRow.state.in_(bindparam("states", expanding=True)),
    )
    .limit(1)
)

# --- releases

_RELEASES_IN: Final = ReleaseRow.attempt == bindparam("attempt")
_RELEASES: Final = Prepared(select(ReleaseRow.node, ReleaseRow.token).where(_RELEASES_IN))
_RELEASED_NAMES: Final = Prepared(select(ReleaseRow.node).where(_RELEASES_IN))
_RELEASED: Final = Prepared(select(ReleaseRow.node).where(_RELEASES_IN, ReleaseRow.node == bindparam("node")))
_RELEASES_COUNTED: Final = Prepared(select(func.count()).select_from(ReleaseRow).where(_RELEASES_IN))
_LAST_RELEASED: Final = Prepared(
    select(RosterRow.node, RosterRow.attempt, RosterRow.consent)
    .join(ReleaseRow, (ReleaseRow.attempt == RosterRow.attempt) & (ReleaseRow.node == RosterRow.node))
    .where(_OF_ATTEMPTS, RosterRow.node.in_(bindparam("nodes", expanding=True)))
    .order_by(RosterRow.attempt)
)

# --- parameters

_OF_UPLOAD: Final = ParametersChunkRow.upload == bindparam("upload")
_CHUNK: Final = Prepared(
    select(ParametersChunkRow.body).where(_OF_UPLOAD, ParametersChunkRow.number == bindparam("number"))
)
_CHUNKS_COUNTED: Final = Prepared(select(func.count()).select_from(ParametersChunkRow).where(_OF_UPLOAD))
_OVERTAKE: Final = Prepared(
    delete(ParametersChunkRow).where(
        func.substr(ParametersChunkRow.upload, 1 + BROKER_DIGITS, bindparam("length"))
        == bindparam("uploads"),
        ParametersChunkRow.upload != bindparam("by"),
        ~exists().where(ParametersRow.upload == ParametersChunkRow.upload),
    )
)
_DELETE_UPLOAD: Final = Prepared(delete(ParametersChunkRow).where(_OF_UPLOAD))


class AttemptTable:
    """Attempts of jobs, within one transaction."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def add(self, row: AttemptRow, roster: Sequence[tuple[str, str, str | None]]) -> None:
        """Keep a new attempt with its roster: name, consent and open scope of each member."""
        self._rows.add(row)
        seats = [
            {"attempt": row.id, "node": node, "consent": consent, "scope": scope}
            for node, consent, scope in roster
        ]
        self._rows.add_each(RosterRow, seats)

    def get(self, attempt_id: int) -> AttemptRow | None:
        """The attempt of that row number."""
        return self._rows.get(AttemptRow, attempt_id)

    def latest(self, job_id: str) -> AttemptRow | None:
        """A job's newest attempt, if it has had any."""
        return self._rows.first(AttemptRow, _LATEST, {"job": job_id})

    def of_round(self, job_id: str, number: int, state: str) -> AttemptRow:
        """The one attempt of a job's round that is in a state."""
        wanted = {"job": job_id, "round": number, "state": state}
        [attempt] = self._rows.found(AttemptRow, _OF_ROUND, wanted)
        return attempt

    def in_state(self, state: str) -> Sequence[AttemptRow]:
        """All attempts in a state, oldest first."""
        return self._rows.found(AttemptRow, _IN_STATE, {"state": state})

    def roster(self, attempt_id: int) -> Sequence[Seat]:
        """The members of an attempt, sorted by the UTF-8 bytes of the name."""
        seats = (Seat(*row) for row in self._rows.tuples(_ROSTER, {"attempt": attempt_id}))
        return sorted(seats, key=lambda seat: seat.node.encode())

    def names(self, attempt_id: int) -> tuple[str, ...]:
        """The names of an attempt's members, sorted by their UTF-8 bytes."""
        return tuple(sorted(self._rows.column(_NAMES, {"attempt": attempt_id}), key=str.encode))

    def size(self, attempt_id: int) -> int:
        """How many members an attempt has."""
        return int(self._rows.value(_SIZE, {"attempt": attempt_id}))

    def seats(self, attempt_id: int, node: str) -> bool:
        """Whether a node is a member of an attempt."""
        return self._rows.value(_SEATED, {"attempt": attempt_id, "node": node}) is not None

    def released_of(self, dataset: str, most: int) -> list[Released]:
        """A dataset's newest attempts of which releases are in, newest first."""
        found = self._rows.tuples(_RELEASED_OF, {"dataset": dataset, "most": most})
        names: dict[int, list[str]] = {attempt: [] for attempt, _, _ in found}
        for attempt, node in self._rows.tuples(_ROSTERS, {"attempts": list(names)}):
            names[attempt].append(node)
        return [
            Released(attempt, receiver, tuple(sorted(names[attempt], key=str.encode)), releases)
            for attempt, receiver, releases in found
        ]

    def last_released(
        self, dataset: str, organisation: str, nodes: Collection[str]
    ) -> dict[str, tuple[int, str]]:
        """The newest release of each of these nodes in a dataset to an organisation, if it is not long ago.

        Returns:
            By node the attempt's row number, and the consent under which it took part.
        """
        of_scope = {"dataset": dataset, "organisation": organisation}
        wanted = {"attempts": self._rows.column(_NEWEST_RELEASED, of_scope), "nodes": list(nodes)}
        return {
            node: (attempt, consent) for node, attempt, consent in self._rows.tuples(_LAST_RELEASED, wanted)
        }

    def occupied(self, scopes: Collection[str], states: Collection[str]) -> bool:
        """Whether an attempt in one of these states holds any of these scopes."""
        if not scopes:
            return False
        return self._rows.value(_OCCUPIED, {"scopes": list(scopes), "states": list(states)}) is not None

    def add_parameters(self, row: ParametersRow) -> None:
        """Keep an attempt's parameters."""
        self._rows.add(row)

    def parameters(self, attempt_id: int) -> ParametersRow | None:
        """The parameters of an attempt, if they are there."""
        return self._rows.get(ParametersRow, attempt_id)

    def empty_parameters(self, attempt_id: int) -> None:
        """Forget what an attempt's parameters are, once no node needs them any more; their hash stays."""
        row = self.parameters(attempt_id)
        if row is not None:
            row.chunks = 0
            self.delete_upload(row.upload)

    def add_chunks(self, upload: str, first: int, chunks: Sequence[bytes]) -> None:
        """Keep the next chunks of parameters, numbered from `first`."""
        self._rows.add_each(
            ParametersChunkRow,
            [
                {"upload": upload, "number": first + index, "body": chunk}
                for index, chunk in enumerate(chunks)
            ],
        )

    def chunk(self, upload: str, number: int) -> bytes | None:
        """One chunk of parameters, if it is there."""
        body: bytes | None = self._rows.value(_CHUNK, {"upload": upload, "number": number})
        return body

    def count_chunks(self, upload: str) -> int:
        """How many chunks of an upload are there."""
        return int(self._rows.value(_CHUNKS_COUNTED, {"upload": upload}))

    def overtake(self, uploads: str, by: str) -> None:
        """Forget chunks of the uploads named so behind their process' number; not of one, nor what counts."""
        self._rows.change(_OVERTAKE, {"uploads": uploads, "length": len(uploads), "by": by})

    def delete_upload(self, upload: str) -> None:
        """Forget the chunks of an upload."""
        self._rows.change(_DELETE_UPLOAD, {"upload": upload})

    def add_release(self, row: ReleaseRow) -> None:
        """Keep a release."""
        self._rows.add(row)

    def releases(self, attempt_id: int) -> dict[str, str]:
        """The release of each node that has sent one."""
        return dict(self._rows.tuples(_RELEASES, {"attempt": attempt_id}))

    def released_names(self, attempt_id: int) -> frozenset[str]:
        """The nodes that have sent their release."""
        return frozenset(self._rows.column(_RELEASED_NAMES, {"attempt": attempt_id}))

    def has_released(self, attempt_id: int, node: str) -> bool:
        """Whether a node has sent its release."""
        return self._rows.value(_RELEASED, {"attempt": attempt_id, "node": node}) is not None

    def count_releases(self, attempt_id: int) -> int:
        """How many nodes have sent their release."""
        return int(self._rows.value(_RELEASES_COUNTED, {"attempt": attempt_id}))
