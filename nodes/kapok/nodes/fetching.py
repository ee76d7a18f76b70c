"""Fetching a round's parameters: the broker does not decide how much this node keeps in memory."""

from __future__ import annotations

from contextlib import aclosing

from kapok.errors import NotFound, PeerProtocolError
from kapok.nodes.runner.admission import claimed_id
from kapok.wire.channel import Connection
from kapok.wire.messages import MOST_PARAMETERS_BYTES, OpenAttempt, RoundParameters

__all__ = ["fetched"]


async def fetched(broker: Connection, asked: OpenAttempt, statement: str) -> RoundParameters | None:
    """The parameters of an attempt, nothing of them verified yet; None when the attempt is over.

    Raises:
        PeerProtocolError: ``parameters_too_long``.
        KapokError: whatever the broker answered.
    """
    job_id, ciphertext = claimed_id(asked.specification), bytearray()
    try:
        async with aclosing(broker.node.parameters(job_id, asked.round, asked.attempt)) as chunks:
            async for chunk in chunks:
                ciphertext += chunk
                if len(ciphertext) > MOST_PARAMETERS_BYTES:
                    raise PeerProtocolError(
                        f"the broker hands out more than {MOST_PARAMETERS_BYTES} bytes of parameters",
                        code="parameters_too_long",
                    )
    except NotFound:
        return None
    return RoundParameters(statement, bytes(ciphertext))
