"""How much crossed the wire: messages and their encoded bytes, without the framing of gRPC and TLS."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Traffic"]


@dataclass(slots=True)
class Traffic:
    """Counts for one server or one connection since it was opened."""

    messages_sent: int = 0
    messages_received: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0

    def sent(self, size: int) -> None:
        """Count one message that left."""
        self.messages_sent += 1
        self.bytes_sent += size

    def received(self, size: int) -> None:
        """Count one message that came."""
        self.messages_received += 1
        self.bytes_received += size
