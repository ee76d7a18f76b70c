"""Who plays in a network on one machine: a dataset, and the holders that have it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

__all__ = ["ANALYST_PATTERN", "TRUST_DOMAIN", "Holder", "Scenario", "party_of"]

TRUST_DOMAIN: Final = "demo.kapok.example"
ANALYST_PATTERN: Final = f"spiffe://{TRUST_DOMAIN}/org/university/analyst/*"


def party_of(holder: str) -> str:
    """The name of a holder's node."""
    return f"spiffe://{TRUST_DOMAIN}/org/{holder}/node/main"


class Holder(Protocol):
    """An organisation with a table."""

    @property
    def name(self) -> str:
        """Its organisation's name."""
        ...

    def furnish(self, home: Path, broker: str, dataset_hash: str) -> None:
        """Write ``node.toml`` and ``policy.toml`` into its node's folder, and what else it needs there."""
        ...


@dataclass(frozen=True, slots=True)
class Scenario:
    """A dataset and its holders.

    Attributes:
        dataset: The dataset's name.
        schema_file: Puts its schema into a folder, and says where it lies.
        holders: At least three.
    """

    dataset: str
    schema_file: Callable[[Path], Path]
    holders: tuple[Holder, ...]
