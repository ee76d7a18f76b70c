"""Partitioners by any name.

What they would have parted is parted already, one holder's table from another's.
"""

from __future__ import annotations

__all__ = ["Partitioner"]


class Partitioner:
    """Takes whatever a partitioner of Flower's takes, and does nothing with it."""

    def __init__(self, *_: object, **__: object) -> None: ...


def __getattr__(name: str) -> type[Partitioner]:
    if name.endswith("Partitioner"):
        return Partitioner
    raise AttributeError(f"flwr_datasets.partitioner has no {name!r} at a Kapok node")
