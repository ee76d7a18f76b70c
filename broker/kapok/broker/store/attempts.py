"""Queries over attempts, their rosters, parameters and releases."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from sqlalchemy import bindparam, delete, exists, func, insert, select
from sqlalchemy.orm import Session

from kapok.broker.store.schema import (
    AttemptRow,
    JobRow,
    ParametersChunkRow,
    ParametersRow,
    ReleaseRow,
    RosterRow,
)

__all__ = ["AttemptTable", "Seat"]


class Seat(NamedTuple):
    """A member of an attempt: values, for nothing of it ever changes. See `RosterRow`."""

    node: str
    consent: str
    scope: str | None


# What is asked at every step is written down once: building a statement takes longer than running it.
_LATEST: Final = (
    select(AttemptRow)
    .where(AttemptRow.job == bindparam("job"))
    .order_by(AttemptRow.round.desc(), AttemptRow.number.desc())
    .limit(1)
)
_MOST_LOOKED_AT: Final = 16
_OF_ATTEMPT: Final = RosterRow.attempt == bindparam("attempt")
_ROSTER: Final = select(RosterRow.node, RosterRow.consent, RosterRow.scope).where(_OF_ATTEMPT)
_NAMES: Final = select(RosterRow.node).where(_OF_ATTEMPT)
_SEATED: Final = _NAMES.where(RosterRow.node == bindparam("node"))
_SIZE: Final = select(func.count()).select_from(RosterRow).where(_OF_ATTEMPT)
_RELEASES: Final = select(ReleaseRow.node, ReleaseRow.token).where(ReleaseRow.attempt == bindparam("attempt"))
_RELEASED_NAMES: Final = select(ReleaseRow.node).where(ReleaseRow.attempt == bindparam("attempt"))
_RELEASED: Final = select(ReleaseRow.node).where(
    ReleaseRow.attempt == bindparam("attempt"), ReleaseRow.node == bindparam("node")
)
_RELEASES_COUNTED: Final = (
    select(func.count()).select_from(ReleaseRow).where(ReleaseRow.attempt == bindparam("attempt"))
)


class AttemptTable:
    """Attempts of jobs, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, row: AttemptRow, roster: Sequence[tuple[str, str, str | None]]) -> None:
        """Keep a new attempt with its roster: name, consent and open scope of each member."""
        self._session.add(row)
        self._session.flush()
        seats = [
            {"attempt": row.id, "node": node, "consent": consent, "scope": scope}
            for node, consent, scope in roster
        ]
        self._session.execute(insert(RosterRow), seats)

    def get(self, attempt_id: int) -> AttemptRow | None:
        """The attempt of that row number."""
        return self._session.get(AttemptRow, attempt_id)

    def latest(self, job_id: str) -> AttemptRow | None:
        """A job's newest attempt, if it has had any."""
        return self._session.scalar(_LATEST, {"job": job_id})

    def of_round(self, job_id: str, number: int, state: str) -> AttemptRow:
        """The one attempt of a job's round that is in a state."""
        query = select(AttemptRow).where(AttemptRow.job == job_id, AttemptRow.round == number)
        return self._session.scalars(query.where(AttemptRow.state == state)).one()

    def in_state(self, state: str) -> Sequence[AttemptRow]:
        """All attempts in a state, oldest first."""
        return self._session.scalars(
            select(AttemptRow).where(AttemptRow.state == state).order_by(AttemptRow.id)
        ).all()

    def roster(self, attempt_id: int) -> Sequence[Seat]:
        """The members of an attempt, sorted by the UTF-8 bytes of the name."""
        seats = (Seat(*row) for row in self._session.execute(_ROSTER, {"attempt": attempt_id}))
        return sorted(seats, key=lambda seat: seat.node.encode())

    def names(self, attempt_id: int) -> tuple[str, ...]:
        """The names of an attempt's members, sorted by their UTF-8 bytes."""
        return tuple(sorted(self._session.scalars(_NAMES, {"attempt": attempt_id}), key=str.encode))

    def size(self, attempt_id: int) -> int:
        """How many members an attempt has."""
        return self._session.scalar(_SIZE, {"attempt": attempt_id}) or 0

    def seats(self, attempt_id: int, node: str) -> bool:
        """Whether a node is a member of an attempt."""
        return self._session.scalar(_SEATED, {"attempt": attempt_id, "node": node}) is not None

    def released_of(self, dataset: str, most: int) -> dict[AttemptRow, tuple[str, ...]]:
        """A dataset's newest attempts of which releases are in, with their rosters' names, newest first."""
        query = (
            select(AttemptRow)
            .join(JobRow, JobRow.id == AttemptRow.job)
            .where(JobRow.dataset == dataset, exists().where(ReleaseRow.attempt == AttemptRow.id))
            .order_by(JobRow.ordinal.desc(), AttemptRow.id.desc())
            .limit(most)
        )
        found = self._session.scalars(query).all()
        names: dict[int, list[str]] = {row.id: [] for row in found}
        rosters = select(RosterRow.attempt, RosterRow.node).where(RosterRow.attempt.in_(names))
        for attempt, node in self._session.execute(rosters):
            names[attempt].append(node)
        return {row: tuple(sorted(names[row.id], key=str.encode)) for row in found}

    def last_released(
        self, dataset: str, organisation: str, nodes: Collection[str]
    ) -> dict[str, tuple[int, str]]:
        """The newest release of each of these nodes in a dataset to an organisation, if it is not long ago.

        Returns:
            By node the attempt's row number, and the consent under which it took part.
        """
        released = exists().where(ReleaseRow.attempt == AttemptRow.id)
        newest = (
            select(AttemptRow.id)
            .join(JobRow, JobRow.id == AttemptRow.job)
            .where(JobRow.dataset == dataset, JobRow.organisation == organisation, released)
            .order_by(JobRow.ordinal.desc(), AttemptRow.id.desc())
            .limit(_MOST_LOOKED_AT)
        )
        query = (
            select(RosterRow.node, RosterRow.attempt, RosterRow.consent)
            .join(ReleaseRow, (ReleaseRow.attempt == RosterRow.attempt) & (ReleaseRow.node == RosterRow.node))
            .where(RosterRow.attempt.in_(self._session.scalars(newest).all()), RosterRow.node.in_(nodes))
            .order_by(RosterRow.attempt)
        )
        return {node: (attempt, consent) for node, attempt, consent in self._session.execute(query)}

    def occupied(self, scopes: Collection[str], states: Collection[str]) -> bool:
        """Whether an attempt in one of these states holds any of these scopes."""
        if not scopes:
            return False
        query = select(RosterRow.attempt).join(AttemptRow, AttemptRow.id == RosterRow.attempt)
        query = query.where(RosterRow.scope.in_(scopes), AttemptRow.state.in_(states))
        return bool(self._session.scalar(select(exists(query))))

    def add_parameters(self, row: ParametersRow) -> None:
        """Keep an attempt's parameters."""
        self._session.add(row)
        self._session.flush()

    def parameters(self, attempt_id: int) -> ParametersRow | None:
        """The parameters of an attempt, if they are there."""
        return self._session.get(ParametersRow, attempt_id)

    def empty_parameters(self, attempt_id: int) -> None:
        """Forget what an attempt's parameters are, once no node needs them any more; their hash stays."""
        row = self.parameters(attempt_id)
        if row is not None:
            row.chunks = 0
            self.delete_upload(row.upload)

    def add_chunks(self, upload: str, first: int, chunks: Sequence[bytes]) -> None:
        """Keep the next chunks of parameters, numbered from `first`."""
        rows = [
            {"upload": upload, "number": first + index, "body": chunk} for index, chunk in enumerate(chunks)
        ]
        if rows:
            self._session.execute(insert(ParametersChunkRow), rows)

    def chunk(self, upload: str, number: int) -> bytes | None:
        """One chunk of parameters, if it is there."""
        row = self._session.get(ParametersChunkRow, (upload, number))
        return row.body if row else None

    def count_chunks(self, upload: str) -> int:
        """How many chunks of an upload are there."""
        query = select(func.count()).where(ParametersChunkRow.upload == upload)
        return self._session.scalar(query) or 0

    def delete_upload(self, upload: str) -> None:
        """Forget the chunks of an upload."""
        self._session.execute(delete(ParametersChunkRow).where(ParametersChunkRow.upload == upload))

    def add_release(self, row: ReleaseRow) -> None:
        """Keep a release."""
        self._session.add(row)
        self._session.flush()

    def releases(self, attempt_id: int) -> dict[str, str]:
        """The release of each node that has sent one."""
        found = self._session.execute(_RELEASES, {"attempt": attempt_id})
        return {node: token for node, token in found}  # noqa: C416 - rows, not pairs

    def released_names(self, attempt_id: int) -> frozenset[str]:
        """The nodes that have sent their release."""
        return frozenset(self._session.scalars(_RELEASED_NAMES, {"attempt": attempt_id}))

    def has_released(self, attempt_id: int, node: str) -> bool:
        """Whether a node has sent its release."""
        return self._session.scalar(_RELEASED, {"attempt": attempt_id, "node": node}) is not None

    def count_releases(self, attempt_id: int) -> int:
        """How many nodes have sent their release."""
        return self._session.scalar(_RELEASES_COUNTED, {"attempt": attempt_id}) or 0
