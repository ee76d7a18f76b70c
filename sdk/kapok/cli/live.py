"""Progress of a job on stderr: a live line on a terminal, plain lines elsewhere, nothing with `--json`."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from kapok.cli.hints import pasteable
from kapok.cli.terminal import note
from kapok.errors import plain

if TYPE_CHECKING:
    from kapok.client.progress import Progress

__all__ = ["Live"]


class Live:
    """Shows how a job goes on, and remembers it. Call it with each `Progress`.

    Attributes:
        job_id: Of the job, as soon as it has an identity; empty until then.
        submitted: Whether the broker has it for certain.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        """Show nothing when `quiet`."""
        self.job_id = ""
        self.submitted = False
        self._quiet = quiet
        self._last = ""
        self._began = time.monotonic()
        self._status: Any = None

    def __enter__(self) -> Self:
        if not self._quiet and sys.stderr.isatty():
            from rich.console import Console

            self._status = Console(stderr=True, highlight=False).status("asking")
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def __call__(self, progress: Progress) -> None:
        """Show one thing that happened."""
        self.job_id = progress.job_id or self.job_id
        self.submitted = self.submitted or (bool(progress.job_id) and progress.step != "notice")
        if self._quiet or progress.text == self._last:
            return
        self._last, text = progress.text, pasteable(plain(progress.text))
        if self._status is None or progress.step in ("notice", "submitted"):
            self._line(text)
        if self._status is not None:
            from rich.markup import escape

            self._status.update(escape(text))

    def _line(self, text: str) -> None:
        if self._status is not None:
            self._status.console.print(text, markup=False)
        else:
            note(f"[{time.monotonic() - self._began:6.2f} s] {text}")
