"""What the broker hands out with a sum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Evidence"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything signed about the one attempt whose sum is handed out: the analyst verifies all of it.

    Of a later round's attempt that waits for its parameters there are the consents alone, and no sum.

    Attributes:
        round: From 1.
        attempt: From 1.
        consents: One for each member of the roster, in any order; so are `seals` and `releases`.
        seals: The signed seal statements.
        releases: The signed releases.
    """

    round: int
    attempt: int
    consents: Sequence[str]
    seals: Sequence[str]
    releases: Sequence[str]
