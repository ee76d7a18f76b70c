"""Fetching a sealed sum, and no more than a sum: the broker does not decide how much this machine keeps."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from kapok.errors import PeerProtocolError
from kapok.protocols.secure_sum.evidence import Evidence

if TYPE_CHECKING:
    from kapok.protocols.secure_sum.params import SumTerms
    from kapok.wire.channel import Connection

__all__ = ["fetch"]


async def fetch(broker: Connection, terms: SumTerms) -> tuple[Evidence, list[bytes]]:
    """The evidence and the chunks of a job's sum, nothing of it verified yet.

    Args:
        broker: Where it lies.
        terms: The job's. A roster is never larger than what was asked, and so is the sum.

    Raises:
        PeerProtocolError: ``sum_too_long``, ``evidence_twice`` or ``no_evidence``.
        KapokError: whatever the broker answered.
    """
    from kapok.protocols.secure_sum.vector import vector_bytes

    most = vector_bytes(terms, len(terms.members))
    evidence: Evidence | None = None
    chunks: list[bytes] = []
    received = 0
    async with contextlib.aclosing(broker.analyst.fetch(terms.job_id.hex())) as parts:
        async for part in parts:
            if isinstance(part, Evidence):
                if evidence is not None:
                    raise PeerProtocolError("the broker hands out evidence twice", code="evidence_twice")
                evidence = part
                continue
            received += len(part)
            if not part or received > most:
                raise PeerProtocolError(
                    f"the broker hands out more than the {most} bytes that this job's sum can have",
                    code="sum_too_long",
                    remedy="`kapok job wait JOB` fetches it again; or ask the broker's people",
                )
            chunks.append(part)
    if evidence is None:
        raise PeerProtocolError("the broker hands out a sum without its evidence", code="no_evidence")
    return evidence, chunks
