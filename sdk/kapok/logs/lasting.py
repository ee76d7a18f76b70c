"""What goes wrong again and again, told so that a night of it does not fill a disk.

A daemon that tries again each second would write a line each second, and who reads them in the morning finds
nothing else. So a trouble is told when it begins, once an hour while it lasts, and when it is over.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["Lasting"]

_AGAIN_S: Final = 3600.0
_MOST_KEYS: Final = 1024


@dataclass(slots=True)
class _Told:
    at: float
    unsaid: int = 0


class Lasting:
    """Troubles of one kind, each by a key of its own: the code of an error, for instance.

    Safe to use from several threads.

    Args:
        log: Where it is told.
        again_s: Seconds after which a trouble that lasts is told again, with how often it came meanwhile.
        calm_s: Seconds without any, before it is over: where some things go well while others do not.
        clock: Seconds, of any beginning.
    """

    def __init__(
        self,
        log: logging.Logger,
        again_s: float = _AGAIN_S,
        calm_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log, self._again_s, self._calm_s, self._clock = log, again_s, calm_s, clock
        self._lock = threading.Lock()
        self._told: dict[object, _Told] = {}
        self._since = self._last = 0.0

    def tell(
        self,
        key: object,
        message: str,
        extra: Mapping[str, object] | None = None,
        *,
        level: int = logging.WARNING,
        error: BaseException | None = None,
    ) -> None:
        """Write a line, unless the same was written a short while ago.

        Args:
            key: Of the trouble: what has the same is the same.
            message: Of the line.
            extra: More of it.
            level: The line's.
            error: Whose class, code and places are told with it.
        """
        with self._lock:
            now = self._last = self._clock()
            if not self._told:
                self._since = now
            told = self._told.get(key)
            if told is not None and now - told.at < self._again_s:
                told.unsaid += 1
                return
            if len(self._told) >= _MOST_KEYS:
                # Whoever can make up keys must not fill the memory instead.
                self._told.clear()
            self._told[key] = _Told(now)
        unsaid: dict[str, Any] = {"unsaid": told.unsaid} if told and told.unsaid else {}
        self._log.log(level, message, extra={**(extra or {}), **unsaid}, exc_info=error, stacklevel=2)

    def over(self, message: str, extra: Mapping[str, object] | None = None) -> None:
        """Write that it goes well, and for how many seconds it did not; nothing where nothing was told."""
        if not self._told:
            return
        with self._lock:
            now = self._clock()
            if not self._told or now - self._last < self._calm_s:
                return
            lasted_s = round(now - self._since, 1)
            unsaid = sum(told.unsaid for told in self._told.values())
            self._told.clear()
        self._log.info(message, extra={**(extra or {}), "lasted_s": lasted_s, "unsaid": unsaid}, stacklevel=2)
