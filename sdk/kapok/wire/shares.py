"""What one party may take of a server, so that none keeps the others from it.

    at once  `calls_of_one` calls of a party may be under way, streams included, and `calls_of_organisation`
             of all parties of its organisation
    bucket   a call takes a token; `calls_per_s` come back each second, `calls_burst` at most are there

A call has its place before a byte of what it asks is read: whoever begins calls and says nothing takes as
much as whoever talks. Strangers, who have no names, have places by the network that they call from.

Source: token bucket as a policer: RFC 2697 section 3, with one rate.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from ipaddress import ip_address, ip_network
from typing import Final, TypeVar
from urllib.parse import unquote

from kapok.errors import Unavailable
from kapok.wire.limits import Limits

__all__ = ["Shares", "calling", "counted", "network_of"]

_Key = TypeVar("_Key")

calling: Final[ContextVar[str]] = ContextVar("calling", default="")
"""For which organisation's call something is done, wherever it is; empty for the service's own work."""

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
        self._of_organisations: Counter[str] = Counter()
        # Tokens and when they were counted. A bucket that was not used longest is full, as a new one is.
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    @contextmanager
    def place(self, party: str, organisation: str) -> Iterator[None]:
        """A place for one call of a party, for as long as it lasts.

        Raises:
            Unavailable: ``too_many_calls`` of the party, or of its organisation, are under way.
        """
        limits = self._limits
        if self._at_once[party] >= limits.calls_of_one:
            raise _too_many(f"one party than {limits.calls_of_one} at once", party, _AGAIN_S)
        if self._of_organisations[organisation] >= limits.calls_of_organisation:
            most = limits.calls_of_organisation
            raise _too_many(f"one organisation than {most} at once", party, _AGAIN_S)
        with counted(self._at_once, party), counted(self._of_organisations, organisation):
            yield

    def take(self, party: str) -> None:
        """Take a token for one call of a party.

        Raises:
            Unavailable: ``too_many_calls``, with the time after which there is one again.
        """
        now, limits = self._now(), self._limits
        tokens, counted = self._buckets.pop(party, (float(limits.calls_burst), now))
        tokens = min(limits.calls_burst, tokens + (now - counted) * limits.calls_per_s)
        enough = tokens >= 1
        self._buckets[party] = (tokens - enough, now)
        if len(self._buckets) > _MOST_KEPT:
            self._buckets.popitem(last=False)
        if not enough:
            wait_s = (1 - tokens) / limits.calls_per_s
            raise _too_many(f"one party than {limits.calls_per_s:g} a second", party, wait_s)


def network_of(peer: str) -> str:
    """The network of a caller whom gRPC names so: one IPv4 address, or 64 bits of an IPv6 one."""
    kind, _, rest = unquote(peer).partition(":")
    host = rest.rpartition(":")[0].strip("[]").partition("%")[0]
    try:
        address = ip_address(host)
    except ValueError:
        return kind
    address = getattr(address, "ipv4_mapped", None) or address
    return str(ip_network((address, 64 if address.version == 6 else 32), strict=False))


@contextmanager
def counted(counter: Counter[_Key], key: _Key) -> Iterator[None]:
    """One more of a key for as long as the block lasts; a key of which there is none is not kept."""
    counter[key] += 1
    try:
        yield
    finally:
        counter[key] -= 1
        if not counter[key]:
            del counter[key]


def _too_many(how_many: str, party: str, wait_s: float) -> Unavailable:
    return Unavailable(
        f"this service takes no more calls of {how_many}",
        code="too_many_calls",
        remedy="ask for less at a time; or let the service's people raise its limits",
        party=party,
        retry_after_s=wait_s,
    )
