"""Which nodes are connected, and what is coming in: none of it durable, and nobody's secrecy rests on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from kapok.errors import Unavailable
from kapok.wire.shares import counted

__all__ = ["Presence"]

_MOST_WATCHES: Final = 4
_AGAIN_S: Final = 15.0


class Presence:
    """Which nodes have a watch open, and from whom a vector is coming in.

    Attributes:
        elsewhere: The nodes that are connected to other broker processes on the same store, as those say.
        uploads_taken: Vectors that came in whole since the start.
        bytes_taken: Their bytes.
    """

    def __init__(self) -> None:
        self._watches: Counter[str] = Counter()
        self._uploads: Counter[tuple[str, str]] = Counter()
        self.uploads_taken = self.bytes_taken = 0
        self.elsewhere: frozenset[str] = frozenset()

    def connected(self, node: str) -> bool:
        """Whether a node is connected just now, here or elsewhere."""
        return self._watches[node] > 0 or node in self.elsewhere

    def uploading(self, node: str, job_id: str) -> bool:
        """Whether a node is just sending its vector for a job."""
        return self._uploads[node, job_id] > 0

    @property
    def here(self) -> frozenset[str]:
        """The nodes that are connected to this process just now."""
        return frozenset(self._watches)

    def took(self, size: int) -> None:
        """Note that a vector of so many bytes has come in whole."""
        self.uploads_taken += 1
        self.bytes_taken += size

    @property
    def uploads(self) -> int:
        """How many vectors are coming in just now."""
        return self._uploads.total()

    @contextmanager
    def watch(self, node: str) -> Iterator[None]:
        """Note a node's watch for as long as it lasts.

        Raises:
            Unavailable: ``too_many_watches`` of the same node.
        """
        if self._watches[node] >= _MOST_WATCHES:
            raise Unavailable(
                f"{node} has {_MOST_WATCHES} watches open already",
                code="too_many_watches",
                party=node,
                remedy="see that the node does not run twice",
                retry_after_s=_AGAIN_S,
            )
        with counted(self._watches, node):
            yield

    @contextmanager
    def upload(self, node: str, job_id: str) -> Iterator[None]:
        """Note an upload for as long as it lasts."""
        with counted(self._uploads, (node, job_id)):
            yield
