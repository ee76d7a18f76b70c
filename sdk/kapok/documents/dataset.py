"""A dataset: a name and a schema, identified by the hash of its document.

It fixes word width, scale and group order bit for bit, so a node *joins* a dataset by naming the hash, and a node
that disagrees is named. The document is public to every enrolled party: bounds and domains in it are facts that
the holders agreed on, never measured from one holder's data.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final, Literal

import msgspec

from kapok.errors import InvalidInput

__all__ = ["Column", "ColumnType", "Dataset"]

ColumnType = Literal["integer", "decimal", "text", "boolean"]

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}\Z")
_MOST_COLUMNS: Final = 1000
_MOST_DOMAIN: Final = 10_000


def _bad(message: str, remedy: str) -> InvalidInput:
    return InvalidInput(message, code="bad_dataset", remedy=remedy)


class Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One column of a dataset.

    Attributes:
        name: Lower-case SQL identifier.
        type: ``integer`` and ``decimal`` need `minimum` and `maximum`, or a `domain` (integers only); ``text``
            needs a `domain`; ``boolean`` needs nothing.
        nullable: Whether a row may lack it.
        minimum: Least value, inclusive, as a decimal string or an integer.
        maximum: Largest value, inclusive.
        resolution: The step of a decimal column, a power of ten as a string, e.g. ``"0.1"``. A sum is exact to it.
        domain: The values that may occur, in the order in which groups are laid out.
        unit: For people.
        description: For people.
    """

    name: str
    type: ColumnType
    nullable: bool = False
    minimum: str | int | None = None
    maximum: str | int | None = None
    resolution: str | None = None
    domain: tuple[str | int, ...] | None = None
    unit: str = ""
    description: str = ""
