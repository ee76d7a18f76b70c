"""What one party may take of a server, so that none keeps the others from it.

    bucket   a call takes a token; `calls_per_s` come back each second, `calls_burst` at most are there
    at once  `calls_of_one` calls of a party may be under way, streams included

Source: token bucket as a policer: RFC 2697 section 3, with one rate.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from kapok.errors import Unavailable
from kapok.wire.limits import Limits

__all__ = ["Shares"]

_MOST_KEPT: Final = 65_536
_AGAIN_S: Final = 1.0


class Shares:
    """The calls of each party, one server's. Used in one thread.

    Args:
        limits: How much is one party's.
        now: A clock that never goes back, in seconds.
    """

    def __init__(self, limits: Limits, now: Callable[[], float]) -> None:
        self._limits, self._now = limits, now
        self._at_once: Counter[str] = Counter()
        # Tokens and when they were counted. A bucket that was not used longest is full, as a new one is.
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    @contextmanager
    def call(self, party: str) -> Iterator[None]:
        """One call of a party, for as long as it lasts.

        Raises:
            Unavailable: ``too_many_calls``, with the time after which there is room again.
        """
        self._take(party)
        if self._at_once[party] >= self._limits.calls_of_one:
            raise _too_many(f"{self._limits.calls_of_one} at once", party, _AGAIN_S)
        self._at_once[party] += 1
        try:
            yield
        finally:
            self._at_once[party] -= 1
            if not self._at_once[party]:
                del self._at_once[party]

    def _take(self, party: str) -> None:
        now, limits = self._now(), self._limits
        tokens, counted = self._buckets.pop(party, (float(limits.calls_burst), now))
        tokens = min(limits.calls_burst, tokens + (now - counted) * limits.calls_per_s)
        enough = tokens >= 1
        self._buckets[party] = (tokens - enough, now)
        if len(self._buckets) > _MOST_KEPT:
            self._buckets.popitem(last=False)
        if not enough:
            wait_s = (1 - tokens) / limits.calls_per_s
            raise _too_many(f"{limits.calls_per_s:g} a second", party, wait_s)


def _too_many(how_many: str, party: str, wait_s: float) -> Unavailable:
    return Unavailable(
        f"this service takes no more calls of one party than {how_many}",
        code="too_many_calls",
        remedy="ask for less at a time; or let the service's people raise its limits",
        party=party,
        retry_after_s=wait_s,
    )
