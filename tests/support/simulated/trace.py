"""What happened in a run, in order: the same seed gives the same lines.

Jobs have names of their own here, in the order in which they appear: their identities are hashes over random
numbers, and never the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from google.protobuf.message import Message

from kapok.documents.envelope import document_id
from support.parties import _unb64


@dataclass
class Trace:
    """The lines of a run.

    Attributes:
        time: Seconds since the beginning.
        lines: What happened.
    """

    time: Callable[[], float]
    lines: list[str] = field(default_factory=list)
    _names: dict[str, str] = field(default_factory=dict)

    def note(self, who: str, what: str) -> None:
        """Add a line."""
        self.lines.append(f"{self.time():9.4f}  {who:12}  {what}")

    def job(self, job_id: str) -> str:
        """A job's name in the trace."""
        return self._names.setdefault(job_id, f"job{len(self._names) + 1}")

    def told(self, message: Message) -> str:
        """A message in a few words."""
        name = type(message).__name__
        if name == "WatchResponse":
            name = message.WhichOneof("assignment") or "nothing"
            message = getattr(message, name, message)
        numbers = [str(getattr(message, key)) for key in ("round", "attempt") if hasattr(message, key)]
        job_id = getattr(message, "job_id", "") or job_of(getattr(message, "specification", ""))
        if name == "SealRequest":
            job_id = message.header.job_id
        words = [name.removesuffix("Request"), self.job(job_id) if job_id else "", "/".join(numbers)]
        return " ".join(word for word in words if word)

    @property
    def digest(self) -> str:
        """Of all lines."""
        return hashlib.sha256("\n".join(self.lines).encode()).hexdigest()[:16]


def job_of(token: str) -> str:
    """The id of the job that a specification is of; empty for what is none."""
    return document_id(_unb64(token.split(".")[1])) if token.count(".") == 2 else ""
