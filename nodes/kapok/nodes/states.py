"""Where a job is at this node: one literal table, read by the journal, the documentation and the tests.

    offered ──▶ pending ──▶ approved ──▶ consented ──▶ sealed ──▶ released ──▶ closed
       │           └──────▶ denied            │           │
       └──▶ consented, without an officer     └─▶ refused ◀┘          (closed from anywhere)

A job may be consented to more than once (a node that restarts has lost its keys) and sealed more than
once (an attempt was voided), each time under another attempt. It is released for one attempt of a round,
ever: that is not in this table but in the journal's unique key (job, round).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from kapok.errors import LocalProtocolError

__all__ = ["REFUSABLE", "TRANSITIONS", "Event", "NodeJobState", "after"]


class NodeJobState(StrEnum):
    """A job's state in the node's journal."""

    OFFERED = "offered"
    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    CONSENTED = "consented"
    REFUSED = "refused"
    SEALED = "sealed"
    RELEASED = "released"
    CLOSED = "closed"


class Event(StrEnum):
    """What happens to a job."""

    DEFER = "defer"
    APPROVE = "approve"
    DENY = "deny"
    CONSENT = "consent"
    REFUSE = "refuse"
    SEAL = "seal"
    RELEASE = "release"
    CLOSE = "close"


_S, _E = NodeJobState, Event

TRANSITIONS: Final[dict[tuple[NodeJobState, Event], NodeJobState]] = {
    (_S.OFFERED, _E.DEFER): _S.PENDING,
    (_S.OFFERED, _E.CONSENT): _S.CONSENTED,
    (_S.OFFERED, _E.REFUSE): _S.REFUSED,
    (_S.OFFERED, _E.CLOSE): _S.CLOSED,
    (_S.PENDING, _E.APPROVE): _S.APPROVED,
    (_S.PENDING, _E.DENY): _S.DENIED,
    (_S.PENDING, _E.REFUSE): _S.REFUSED,
    (_S.PENDING, _E.CLOSE): _S.CLOSED,
    (_S.APPROVED, _E.CONSENT): _S.CONSENTED,
    (_S.APPROVED, _E.REFUSE): _S.REFUSED,
    (_S.APPROVED, _E.CLOSE): _S.CLOSED,
    (_S.DENIED, _E.REFUSE): _S.REFUSED,
    (_S.DENIED, _E.CLOSE): _S.CLOSED,
    (_S.CONSENTED, _E.CONSENT): _S.CONSENTED,
    (_S.CONSENTED, _E.SEAL): _S.SEALED,
    (_S.CONSENTED, _E.REFUSE): _S.REFUSED,
    (_S.CONSENTED, _E.CLOSE): _S.CLOSED,
    (_S.SEALED, _E.CONSENT): _S.SEALED,
    (_S.SEALED, _E.SEAL): _S.SEALED,
    (_S.SEALED, _E.RELEASE): _S.RELEASED,
    (_S.SEALED, _E.REFUSE): _S.REFUSED,
    (_S.SEALED, _E.CLOSE): _S.CLOSED,
    (_S.RELEASED, _E.RELEASE): _S.RELEASED,
    (_S.RELEASED, _E.CLOSE): _S.CLOSED,
    (_S.REFUSED, _E.REFUSE): _S.REFUSED,
    (_S.REFUSED, _E.CLOSE): _S.CLOSED,
    (_S.CLOSED, _E.CLOSE): _S.CLOSED,
}

REFUSABLE: Final = frozenset(state for state, event in TRANSITIONS if event is _E.REFUSE)
"""States of a job that may still be refused: neither released nor closed."""


def after(state: NodeJobState, event: Event) -> NodeJobState:
    """The state after an event.

    Raises:
        LocalProtocolError: ``wrong_state``; nothing has changed.
    """
    found = TRANSITIONS.get((state, event))
    if found is None:
        raise LocalProtocolError(f"a job that is {state} cannot {event}", code="wrong_state")
    return found
