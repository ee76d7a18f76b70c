"""Stands in for Flower's package of that name, for a server app that shares a module with its client half.

Partitioners can be named (`partitioner`), and do nothing.
"""

from __future__ import annotations

__all__ = ["FederatedDataset"]


class FederatedDataset:
    """Is not to be had: what holders have stays with them.

    Raises:
        ModuleNotFoundError: always; a server app that wants a data set of its own needs Flower's package.
    """

    def __init__(self, **_: object) -> None:
        raise _absent()


def _absent() -> ModuleNotFoundError:
    return ModuleNotFoundError(
        "the server app asks for a data set, and flwr_datasets is not installed here; the holders' data stay "
        "at their nodes. For one of its own: pip install flwr-datasets"
    )
