"""Queries over sealed vectors and sums: the only large things here, and the only ones deleted early."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import bindparam, delete, func, select

from kapok.broker.store.rows import Rows, all_of
from kapok.broker.store.schema import SealedChunkRow, SealedVectorRow, SumChunkRow
from kapok.persistence import Prepared

__all__ = ["Counted", "VectorTable"]


class Counted(NamedTuple):
    """What is kept of a verified vector: the seal as signed, and the digest in it."""

    token: str
    digest: str


_OF_ATTEMPT: Final = SealedVectorRow.attempt == bindparam("attempt")
_OF_NODE: Final = SealedVectorRow.node == bindparam("node")
_IS_COUNTED: Final = (_OF_ATTEMPT, SealedVectorRow.counted.is_(True))
_COUNTED: Final = Prepared(
    select(SealedVectorRow.node, SealedVectorRow.token, SealedVectorRow.digest).where(*_IS_COUNTED)
)
_COUNTED_NAMES: Final = Prepared(select(SealedVectorRow.node).where(*_IS_COUNTED))
_COUNTED_OF: Final = Prepared(all_of(SealedVectorRow).where(*_IS_COUNTED, _OF_NODE))
_COUNT: Final = Prepared(select(func.count()).select_from(SealedVectorRow).where(*_IS_COUNTED))
_ARE_UPLOADS: Final = (_OF_ATTEMPT, SealedVectorRow.counted.is_(False))
_UPLOADS: Final = Prepared(all_of(SealedVectorRow).where(*_ARE_UPLOADS))
_UPLOADS_OF: Final = Prepared(all_of(SealedVectorRow).where(*_ARE_UPLOADS, _OF_NODE))

_DELETE_CHUNKS_OF_ONE: Final = Prepared(
    delete(SealedChunkRow).where(SealedChunkRow.vector == bindparam("of_vector"))
)
_CHUNKS: Final = delete(SealedChunkRow).where(
    SealedChunkRow.vector.in_(select(SealedVectorRow.id).where(_OF_ATTEMPT))
)
_DELETE_CHUNKS: Final = Prepared(_CHUNKS)
_SAME_NUMBER: Final = SealedChunkRow.number == bindparam("of_number")
_DELETE_SAME_CHUNK: Final = Prepared(_CHUNKS.where(_SAME_NUMBER))
_SAME_CHUNK: Final = Prepared(
    select(SealedVectorRow.node, SealedChunkRow.body)
    .join(SealedChunkRow, SealedChunkRow.vector == SealedVectorRow.id)
    .where(*_IS_COUNTED, _SAME_NUMBER)
)
_OF_SUM: Final = SumChunkRow.attempt == bindparam("of_attempt")
_SUM_CHUNK: Final = Prepared(
    select(SumChunkRow.body).where(_OF_SUM, SumChunkRow.number == bindparam("of_number"))
)
_DELETE_SUM: Final = Prepared(delete(SumChunkRow).where(_OF_SUM))


class VectorTable:
    """Sealed vectors in chunks, within one transaction."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def add(self, row: SealedVectorRow) -> None:
        """Keep the head of a new upload."""
        self._rows.add(row)

    def get(self, vector_id: int) -> SealedVectorRow | None:
        """The sealed vector of that row number."""
        return self._rows.get(SealedVectorRow, vector_id)

    def append(self, row: SealedVectorRow, chunks: Sequence[bytes], now: float) -> None:
        """Add chunks to an upload."""
        self._rows.add_each(
            SealedChunkRow,
            [
                {"vector": row.id, "number": row.chunks + index, "body": chunk}
                for index, chunk in enumerate(chunks)
            ],
        )
        row.chunks += len(chunks)
        row.bytes += sum(map(len, chunks))
        row.touched_at = now

    def counted(self, attempt_id: int) -> dict[str, Counted]:
        """The verified vector of each node that has sent one."""
        found = self._rows.tuples(_COUNTED, {"attempt": attempt_id})
        return {node: Counted(token, digest) for node, token, digest in found}

    def counted_names(self, attempt_id: int) -> frozenset[str]:
        """The nodes that have sent a verified vector."""
        return frozenset(self._rows.column(_COUNTED_NAMES, {"attempt": attempt_id}))

    def counted_of(self, attempt_id: int, node: str) -> SealedVectorRow | None:
        """A node's verified vector, if it has sent one."""
        return self._rows.first(SealedVectorRow, _COUNTED_OF, {"attempt": attempt_id, "node": node})

    def count(self, attempt_id: int) -> int:
        """How many nodes have sent a verified vector."""
        return int(self._rows.value(_COUNT, {"attempt": attempt_id}))

    def uploads(self, attempt_id: int, node: str | None = None) -> Sequence[SealedVectorRow]:
        """Uploads to an attempt that are not whole yet, of one node or of all."""
        if node is None:
            return self._rows.found(SealedVectorRow, _UPLOADS, {"attempt": attempt_id})
        return self._rows.found(SealedVectorRow, _UPLOADS_OF, {"attempt": attempt_id, "node": node})

    def delete(self, row: SealedVectorRow) -> None:
        """Forget one sealed vector."""
        self._rows.change(_DELETE_CHUNKS_OF_ONE, {"of_vector": row.id})
        self._rows.delete(row)

    def delete_chunks(self, attempt_id: int) -> None:
        """Forget the chunks of all vectors of an attempt; that they were counted stays on record."""
        for upload in self.uploads(attempt_id):
            self.delete(upload)
        self._rows.change(_DELETE_CHUNKS, {"attempt": attempt_id})

    def same_chunk(self, attempt_id: int, number: int) -> Sequence[bytes]:
        """The chunk of that number of every counted vector, sorted by the UTF-8 bytes of the node's name."""
        bodies = dict(self._rows.tuples(_SAME_CHUNK, {"attempt": attempt_id, "of_number": number}))
        return [bodies[node] for node in sorted(bodies, key=str.encode)]

    def delete_same_chunk(self, attempt_id: int, number: int) -> None:
        """Forget the chunk of that number of every vector: the sum has it."""
        self._rows.change(_DELETE_SAME_CHUNK, {"attempt": attempt_id, "of_number": number})

    def add_sum_chunk(self, attempt_id: int, number: int, body: bytes) -> None:
        """Keep a chunk of the folded sum."""
        self._rows.add_each(SumChunkRow, [{"attempt": attempt_id, "number": number, "body": body}])

    def sum_chunk(self, attempt_id: int, number: int) -> bytes | None:
        """A chunk of the folded sum, if it is there."""
        body: bytes | None = self._rows.value(_SUM_CHUNK, {"of_attempt": attempt_id, "of_number": number})
        return body

    def delete_sum(self, attempt_id: int) -> None:
        """Forget the sum of an attempt."""
        self._rows.change(_DELETE_SUM, {"of_attempt": attempt_id})
