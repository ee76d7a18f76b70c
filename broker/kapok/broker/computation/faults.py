"""What a node sent and could not be used: remembered, so that whoever waits for the node hears why."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from kapok.broker.computation.context import Context
from kapok.errors import IdentityInvalid, PeerProtocolError
from kapok.identity.names import PartyName

__all__ = ["faults_noted", "note_fault"]

_LONGEST_CODE: Final = 64
_TOO_LATE: Final = frozenset(
    {
        "already_refused",
        "already_released",
        "attempt_complete",
        "attempt_voided",
        "job_ended",
        "not_complete",
        "wrong_attempt",
    }
)
"""Codes of what was right when the node sent it: nobody's fault."""


@contextmanager
def faults_noted(context: Context, caller: PartyName, job_id: str) -> Iterator[None]:
    """Note the code of what is turned away in the block, if it is the caller's fault, and raise it again."""
    try:
        yield
    except (IdentityInvalid, PeerProtocolError) as error:
        note_fault(context, str(caller), job_id, error.code)
        raise


def note_fault(context: Context, node: str, job_id: str, code: str) -> None:
    """Note that the last that a node sent for a job was turned away, and with which code."""
    if code in _TOO_LATE:
        return
    with context.step() as step:
        member = step.tx.jobs.member(job_id, node)
        if member is not None:
            member.fault = code[:_LONGEST_CODE]
