"""A seeded network that loses, doubles, delays, reorders and alters what roles say to each other.

No clock and no sockets: every message is an entry in a bag, and a seed decides which is delivered next, how
often, and in what shape. A run with the same seed and the same parties makes the same choices.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Faults:
    """Probabilities of what may happen to one message."""

    drop: float = 0.0
    double: float = 0.0
    alter: float = 0.0

    @classmethod
    def of(cls, source: random.Random) -> "Faults":
        """Some mixture: often none of a kind, so that runs which succeed are among them."""

        def chance(most: float) -> float:
            return source.choice((0.0, 0.0, most / 4, most))

        return cls(drop=chance(0.2), double=chance(0.4), alter=chance(0.15))


@dataclass
class Network:
    """Messages in flight. `deliver` hands out one at a time until nothing is left."""

    source: random.Random
    faults: Faults
    alter: Callable[[random.Random, object], object]
    flight: list[tuple[str, object]] = field(default_factory=list)
    trace: list[str] = field(default_factory=list)
    carried: list[tuple[str, object]] = field(default_factory=list)

    def send(self, to: str, message: object) -> None:
        """Put a message into the bag, or lose it, or put it there twice."""
        if self.source.random() < self.faults.drop:
            self.trace.append(f"lost {type(message).__name__} to {to}")
            return
        for _ in range(2 if self.source.random() < self.faults.double else 1):
            self.flight.append((to, message))

    def deliver(self) -> tuple[str, object] | None:
        """Any message of those in flight: what was sent first need not arrive first."""
        if not self.flight:
            return None
        to, message = self.flight.pop(self.source.randrange(len(self.flight)))
        if self.source.random() < self.faults.alter:
            self.trace.append(f"altered {type(message).__name__} to {to}")
            message = self.alter(self.source, message)
        self.carried.append((to, message))
        return to, message
