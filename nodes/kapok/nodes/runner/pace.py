"""How often each caller may come in a window of time."""

from __future__ import annotations

import threading

__all__ = ["Pace"]


class Pace:
    """Counts each caller in a window that begins anew, in memory alone. Threads may share it.

    Args:
        window_s: How long a window is, in seconds.
        most: How often one caller may come in it.
    """

    def __init__(self, window_s: float, most: int) -> None:
        self._window_s, self.most = window_s, most
        self._lock = threading.Lock()
        self._window = 0
        self._came: dict[str, int] = {}

    def exceeded(self, caller: str, now: float) -> bool:
        """Count a caller once more; return whether that is too often."""
        window = int(now // self._window_s)
        with self._lock:
            if window != self._window:
                self._window, self._came = window, {}
            came = self._came[caller] = self._came.get(caller, 0) + 1
        return came > self.most
