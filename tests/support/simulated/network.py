"""A network as bad as its weather: it carries what goes between endpoints, late, or not at all.

Within one call messages keep their order, as on a stream of HTTP/2; calls overtake each other. What is lost
is never one message of a call but the rest of it, and neither side knows how far it got.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
from google.protobuf.message import Message

from support.simulated.trace import Trace

if TYPE_CHECKING:
    from support.simulated.calls import Call
    from support.simulated.listener import Listener

ADDRESS = "127.0.0.1:7443"
NOTICED_S = 30.0
"""A side that hears nothing for so long takes the connection for lost: gRPC's keepalive."""
LOST = grpc.StatusCode.ABORTED
ORDER_S = 1e-6
"""Of two things at one instant nobody could say which is first."""


@dataclass(frozen=True)
class Weather:
    """How bad the network is. Probabilities are of each message that is carried.

    Attributes:
        quick_s: Usual time on the way, least and most.
        slow_s: Most time of a message that is late.
        slow: Probability to be late.
        lose: Probability that its call ends with it.
        double: Probability that a call of a node or analyst is heard twice.
    """

    quick_s: tuple[float, float] = (0.001, 0.05)
    slow_s: float = 8.0
    slow: float = 0.0
    lose: float = 0.0
    double: float = 0.0


class Endpoint:
    """One process on the network. Once it is dead, nothing leaves it and nothing reaches it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True


class Network:
    """Carries calls between endpoints."""

    def __init__(self, loop: asyncio.AbstractEventLoop, source: random.Random, trace: Trace) -> None:
        self.loop, self.source, self.trace = loop, source, trace
        self.weather = Weather()
        self.listener: Listener | None = None
        self.cut: dict[str, float] = {}
        self.sent: Callable[[str, Message], None] = lambda _who, _message: None
        self.taken: Callable[[Message], None] = lambda _message: None
        self._held: list[tuple[Call, Callable[[], None]]] = []

    def delay(self) -> float:
        """How long a message is on its way."""
        weather = self.weather
        late = self.source.random() < weather.slow
        return self.source.uniform(*weather.quick_s) + (self.source.uniform(0, weather.slow_s) if late else 0)

    def partition(self, name: str) -> None:
        """Cut a party off: what is on its way waits."""
        self.cut.setdefault(name, self.loop.time())

    def heal(self, name: str) -> None:
        """Let everything that was held arrive, in order."""
        if self.cut.pop(name, None) is None:
            return
        held, self._held = self._held, []
        for call, arrive in held:
            if call.client.name == name:
                call.pass_on(arrive)
            else:
                self._held.append((call, arrive))

    def hold(self, call: Call, arrive: Callable[[], None]) -> None:
        """Keep a message until the cut is healed; a long cut is noticed, by each side for itself."""
        if not any(held is call for held, _ in self._held):
            self.loop.call_later(NOTICED_S, self._notice, call, call.client.name, self.cut[call.client.name])
        self._held.append((call, arrive))

    def _notice(self, call: Call, name: str, since: float) -> None:
        if self.cut.get(name) == since:
            self._held = [one for one in self._held if one[0] is not call]
            call.torn()
