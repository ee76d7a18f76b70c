"""Where a job is at this node: one literal table, read by the journal, the documentation and the tests.

    offered ──▶ pending ──▶ approved ──▶ consented ──▶ sealed ──▶ released ──▶ closed
       │           └──────▶ denied            │           │
       └──▶ consented, without an officer     └─▶ refused ◀┘          (closed from anywhere)

A job may be consented to more than once (a node that restarts has lost its keys) and sealed more than
once (an attempt was voided), each time under another attempt. It goes back to pending when the policy has
come to ask for an officer. It is released for one attempt of a round, ever: that is not in this table but
in the journal's unique key (job, round). After the release of a round that is not the last, it is sealed
for the next, or refused.
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

    DEFERRAL = "deferral"
    APPROVAL = "approval"
    DENIAL = "denial"
    CONSENT = "consent"
    REFUSAL = "refusal"
    SEALING = "sealing"
    RELEASE = "release"
    CLOSING = "closing"


_S, _E = NodeJobState, Event

TRANSITIONS: Final[dict[tuple[NodeJobState, Event], NodeJobState]] = {
    (_S.OFFERED, _E.DEFERRAL): _S.PENDING,
    (_S.OFFERED, _E.CONSENT): _S.CONSENTED,
    (_S.OFFERED, _E.REFUSAL): _S.REFUSED,
    (_S.OFFERED, _E.CLOSING): _S.CLOSED,
    (_S.PENDING, _E.APPROVAL): _S.APPROVED,
    (_S.PENDING, _E.DENIAL): _S.DENIED,
    (_S.PENDING, _E.REFUSAL): _S.REFUSED,
    (_S.PENDING, _E.CLOSING): _S.CLOSED,
    (_S.APPROVED, _E.CONSENT): _S.CONSENTED,
    (_S.APPROVED, _E.REFUSAL): _S.REFUSED,
    (_S.APPROVED, _E.CLOSING): _S.CLOSED,
    (_S.DENIED, _E.REFUSAL): _S.REFUSED,
    (_S.DENIED, _E.CLOSING): _S.CLOSED,
    (_S.CONSENTED, _E.DEFERRAL): _S.PENDING,
    (_S.CONSENTED, _E.CONSENT): _S.CONSENTED,
    (_S.CONSENTED, _E.SEALING): _S.SEALED,
    (_S.CONSENTED, _E.REFUSAL): _S.REFUSED,
    (_S.CONSENTED, _E.CLOSING): _S.CLOSED,
    (_S.SEALED, _E.DEFERRAL): _S.PENDING,
    (_S.SEALED, _E.CONSENT): _S.SEALED,
    (_S.SEALED, _E.SEALING): _S.SEALED,
    (_S.SEALED, _E.RELEASE): _S.RELEASED,
    (_S.SEALED, _E.REFUSAL): _S.REFUSED,
    (_S.SEALED, _E.CLOSING): _S.CLOSED,
    (_S.RELEASED, _E.CONSENT): _S.RELEASED,
    (_S.RELEASED, _E.SEALING): _S.SEALED,
    (_S.RELEASED, _E.RELEASE): _S.RELEASED,
    (_S.RELEASED, _E.REFUSAL): _S.REFUSED,
    (_S.RELEASED, _E.CLOSING): _S.CLOSED,
    (_S.REFUSED, _E.REFUSAL): _S.REFUSED,
    (_S.REFUSED, _E.CLOSING): _S.CLOSED,
    (_S.CLOSED, _E.CLOSING): _S.CLOSED,
}

REFUSABLE: Final = frozenset(state for state, event in TRANSITIONS if event is _E.REFUSAL)
"""States of a job that may still be refused: all but closed. A refusal takes no release back."""


def after(state: NodeJobState, event: Event) -> NodeJobState:
    """The state after an event.

    Raises:
        LocalProtocolError: ``wrong_state``; nothing has changed.
    """
    found = TRANSITIONS.get((state, event))
    if found is None:
        raise LocalProtocolError(f"the job is {state}: {event} cannot happen to it now", code="wrong_state")
    return found
