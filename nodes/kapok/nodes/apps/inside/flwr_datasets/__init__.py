"""Stands in for Flower's package of that name, in an app's process: the node's own partition, no more.

Whatever data set an app names and however it would part it, `FederatedDataset.load_partition` gives the
columns that the holder has approved, as the dataset's schema calls them. What would fetch something is
refused.

    rows         a table as apps expect it of Hugging Face's `datasets`
    partitioner  partitioners by any name
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from .rows import Rows

__all__ = ["FederatedDataset"]


class FederatedDataset:
    """The node's partition, under whatever name an app gives it."""

    def __init__(self, *, dataset: str = "", partitioners: Any = None, **_: Any) -> None:
        self.dataset = dataset
        self.partitioners = dict(partitioners or {})

    def load_partition(self, partition_id: int = 0, split: str | None = None) -> Rows:  # noqa: ARG002
        """The node's own rows, whichever partition is asked for."""
        return Rows(_partition())

    def load_split(self, split: str) -> Rows:
        """Refuse: there is no split that all share.

        Raises:
            PermissionError: always.
        """
        raise PermissionError(f"there is no split {split!r} at a node: its own partition is all there is")


@cache
def _partition() -> Any:
    from pyarrow import parquet

    return parquet.read_table(os.environ["KAPOK_PARTITION"], memory_map=True)
