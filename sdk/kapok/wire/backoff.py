"""How long to wait before trying again: the one rule for nodes and analysts."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from kapok.errors import KapokError, Unavailable

__all__ = ["Backoff", "least_wait_s"]

_uniform = secrets.SystemRandom().uniform


class Backoff:
    """Waits that double, each drawn at random from the upper half below its bound ("equal jitter").

    So parties that lost the broker together do not come back all at once.

    Args:
        first_s: First bound, in seconds.
        most_s: Largest bound, in seconds.
        uniform: Draws from an interval.
    """

    def __init__(
        self, first_s: float, most_s: float, uniform: Callable[[float, float], float] = _uniform
    ) -> None:
        self._first_s, self._most_s = first_s, most_s
        self._bound_s = first_s
        self._uniform = uniform

    def reset(self) -> None:
        """All is well again."""
        self._bound_s = self._first_s

    def next_s(self, least_s: float | None = None) -> float:
        """The next wait, in seconds.

        Args:
            least_s: Before which it is of no use, as the other side says.
        """
        bound_s, self._bound_s = self._bound_s, min(self._bound_s * 2, self._most_s)
        return (least_s or 0.0) + self._uniform(bound_s / 2, bound_s)


def least_wait_s(error: KapokError) -> float | None:
    """For how long trying again after an error is of no use, as far as the other side has said it."""
    return error.retry_after_s if isinstance(error, Unavailable) else None
