"""Partitioners by any name, so that they can be imported."""

from __future__ import annotations

__all__ = ["Partitioner"]


class Partitioner:
    """Takes whatever a partitioner of Flower's takes, and does nothing with it."""

    def __init__(self, *_: object, **__: object) -> None: ...


def __getattr__(name: str) -> type[Partitioner]:
    if name.endswith("Partitioner"):
        return Partitioner
    raise AttributeError(f"flwr_datasets is not installed here, so its partitioner has no {name!r}")
