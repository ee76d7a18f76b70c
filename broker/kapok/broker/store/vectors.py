"""Queries over sealed vectors and sums: the only large things here, and the only ones deleted early."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import bindparam, delete, func, insert, select
from sqlalchemy.orm import Session

from kapok.broker.store.schema import SealedChunkRow, SealedVectorRow, SumChunkRow

__all__ = ["Counted", "VectorTable"]


class Counted(NamedTuple):
    """What is kept of a verified vector: the seal as signed, and the digest in it."""

    token: str
    digest: str


_IS_COUNTED: Final = (SealedVectorRow.attempt == bindparam("attempt"), SealedVectorRow.counted.is_(True))
_COUNTED: Final = select(SealedVectorRow.node, SealedVectorRow.token, SealedVectorRow.digest).where(
    *_IS_COUNTED
)
_COUNTED_NAMES: Final = select(SealedVectorRow.node).where(*_IS_COUNTED)
_COUNTED_OF: Final = select(SealedVectorRow).where(*_IS_COUNTED, SealedVectorRow.node == bindparam("node"))
_COUNT: Final = select(func.count()).select_from(SealedVectorRow).where(*_IS_COUNTED)
_UPLOADS: Final = select(SealedVectorRow).where(
    SealedVectorRow.attempt == bindparam("attempt"), SealedVectorRow.counted.is_(False)
)
_UPLOADS_OF: Final = _UPLOADS.where(SealedVectorRow.node == bindparam("node"))


class VectorTable:
    """Sealed vectors in chunks, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, row: SealedVectorRow) -> None:
        """Keep the head of a new upload."""
        self._session.add(row)
        self._session.flush()

    def get(self, vector_id: int) -> SealedVectorRow | None:
        """The sealed vector of that row number."""
        return self._session.get(SealedVectorRow, vector_id)

    def append(self, row: SealedVectorRow, chunks: Sequence[bytes], now: float) -> None:
        """Add chunks to an upload."""
        rows = [
            {"vector": row.id, "number": row.chunks + index, "body": chunk}
            for index, chunk in enumerate(chunks)
        ]
        if rows:
            self._session.execute(insert(SealedChunkRow), rows)
        row.chunks += len(chunks)
        row.bytes += sum(map(len, chunks))
        row.touched_at = now

    def counted(self, attempt_id: int) -> dict[str, Counted]:
        """The verified vector of each node that has sent one."""
        found = self._session.execute(_COUNTED, {"attempt": attempt_id})
        return {node: Counted(token, digest) for node, token, digest in found}

    def counted_names(self, attempt_id: int) -> frozenset[str]:
        """The nodes that have sent a verified vector."""
        return frozenset(self._session.scalars(_COUNTED_NAMES, {"attempt": attempt_id}))

    def counted_of(self, attempt_id: int, node: str) -> SealedVectorRow | None:
        """A node's verified vector, if it has sent one."""
        return self._session.scalar(_COUNTED_OF, {"attempt": attempt_id, "node": node})

    def count(self, attempt_id: int) -> int:
        """How many nodes have sent a verified vector."""
        return self._session.scalar(_COUNT, {"attempt": attempt_id}) or 0

    def uploads(self, attempt_id: int, node: str | None = None) -> Sequence[SealedVectorRow]:
        """Uploads to an attempt that are not whole yet, of one node or of all."""
        if node is None:
            return self._session.scalars(_UPLOADS, {"attempt": attempt_id}).all()
        return self._session.scalars(_UPLOADS_OF, {"attempt": attempt_id, "node": node}).all()

    def delete(self, row: SealedVectorRow) -> None:
        """Forget one sealed vector."""
        self._session.execute(delete(SealedChunkRow).where(SealedChunkRow.vector == row.id))
        self._session.delete(row)
        self._session.flush()

    def delete_chunks(self, attempt_id: int) -> None:
        """Forget the chunks of all vectors of an attempt; that they were counted stays on record."""
        for upload in self.uploads(attempt_id):
            self.delete(upload)
        vectors = select(SealedVectorRow.id).where(SealedVectorRow.attempt == attempt_id)
        self._session.execute(delete(SealedChunkRow).where(SealedChunkRow.vector.in_(vectors)))

    def same_chunk(self, attempt_id: int, number: int) -> Sequence[bytes]:
        """The chunk of that number of every counted vector, sorted by the UTF-8 bytes of the node's name."""
        query = select(SealedVectorRow.node, SealedChunkRow.body).join(
            SealedChunkRow, SealedChunkRow.vector == SealedVectorRow.id
        )
        query = query.where(
            SealedVectorRow.attempt == attempt_id,
            SealedVectorRow.counted.is_(True),
            SealedChunkRow.number == number,
        )
        bodies = {node: body for node, body in self._session.execute(query)}  # noqa: C416 - rows, not pairs
        return [bodies[node] for node in sorted(bodies, key=str.encode)]

    def delete_same_chunk(self, attempt_id: int, number: int) -> None:
        """Forget the chunk of that number of every vector: the sum has it."""
        vectors = select(SealedVectorRow.id).where(SealedVectorRow.attempt == attempt_id)
        chunk = SealedChunkRow.number == number
        self._session.execute(delete(SealedChunkRow).where(SealedChunkRow.vector.in_(vectors), chunk))

    def add_sum_chunk(self, attempt_id: int, number: int, body: bytes) -> None:
        """Keep a chunk of the folded sum."""
        self._session.add(SumChunkRow(attempt=attempt_id, number=number, body=body))
        self._session.flush()

    def sum_chunk(self, attempt_id: int, number: int) -> bytes | None:
        """A chunk of the folded sum, if it is there."""
        row = self._session.get(SumChunkRow, (attempt_id, number))
        return row.body if row else None

    def delete_sum(self, attempt_id: int) -> None:
        """Forget the sum of an attempt."""
        self._session.execute(delete(SumChunkRow).where(SumChunkRow.attempt == attempt_id))
