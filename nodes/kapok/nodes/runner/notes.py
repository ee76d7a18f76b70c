"""What the runner says of itself: a line in the log, and a count for whoever counts.

Both are for the holder's own people, and neither depends on the data: what was suppressed is counted nowhere.
"""

from __future__ import annotations

import logging
from typing import Final, Literal, Protocol

from kapok.errors import KapokError
from kapok.nodes.journal import Pause

__all__ = ["Decision", "Notes", "Observer"]

_log: Final = logging.getLogger(__name__)

Decision = Literal["consented", "refused", "deferred"]


class Observer(Protocol):
    """Counts what a node does."""

    def decided(self, decision: Decision, code: str = "") -> None:
        """A question was decided so, for the first time; with the code of a refusal."""
        ...

    def sealed(self, took_s: float) -> None:
        """A contribution was computed and sealed, in so many seconds."""
        ...

    def released(self) -> None:
        """What opens a sum was handed out."""
        ...

    def paused(self, paused: bool) -> None:
        """The holder has stopped the node, or let it go on."""
        ...


class Notes:
    """Says each thing once, when it has become durable."""

    def __init__(self, observer: Observer | None = None) -> None:
        self._observer = observer
        self._paused: Pause | None = None

    def consented(self, job_id: str, asset: str, *, again: bool) -> None:
        """A consent is on record; again, where the question was judged anew."""
        _log.info("consented", extra={"job": job_id, "asset": asset})
        if self._observer and not again:
            self._observer.decided("consented")

    def deferred(self, job_id: str, *, again: bool) -> None:
        """The question waits for a person; again, where it was judged anew."""
        remedy = f"`kapok node pending`, then `kapok node approve {job_id}` or `kapok node deny {job_id}`"
        _log.info("waits for an officer", extra={"job": job_id, "remedy": remedy})
        if self._observer and not again:
            self._observer.decided("deferred")

    def refused(self, job_id: str, error: KapokError, *, again: bool) -> None:
        """A refusal goes out; again, where the question was refused before."""
        why = {"code": error.code, "clause": error.clause, "what": error.message, "remedy": error.remedy}
        _log.info("refused", extra={"job": job_id, **why})
        if self._observer and not again:
            self._observer.decided("refused", error.code)

    def sealed(self, job_id: str, round_: int, attempt: int, took_s: float) -> None:
        """A seal's record is on record."""
        _log.info("sealed", extra={"job": job_id, "round": round_, "attempt": attempt})
        if self._observer:
            self._observer.sealed(took_s)

    def released(self, job_id: str, round_: int, attempt: int) -> None:
        """A release is on record."""
        _log.info("released", extra={"job": job_id, "round": round_, "attempt": attempt})
        if self._observer:
            self._observer.released()

    def pause(self, pause: Pause | None) -> None:
        """What the journal says of a pause just now: told when it has changed."""
        before, self._paused = self._paused, pause
        if before == pause:
            return
        if pause:
            remedy = "`kapok node resume`"
            _log.warning(
                "paused by the holder: nothing is answered",
                extra={"by": pause.paused_by, "reason": pause.reason, "remedy": remedy},
            )
        else:
            _log.warning("resumed by the holder")
        if self._observer:
            self._observer.paused(pause is not None)
