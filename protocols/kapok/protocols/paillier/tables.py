"""Tables of powers of h_s, kept for the keys that were used last.

A table belongs to a public key and a degree and holds nothing secret. How large it is made follows from how
many ciphertexts it is made for: within `table_limit`, what makes table and ciphertexts in the least time
(`FixedBase.plan`). Where many more are asked for later, it is made anew, larger. `MOST_TABLES` are kept; who
encrypts a vector holds its table until the end, so that as many more may be in memory as vectors are sealed
at once under other keys. A table is made once, however many ask; who asks for another one does not wait.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

import numpy as np

from kapok.protocols.arithmetic import FixedBase, Ring
from kapok.protocols.paillier.public import PublicKey

__all__ = ["MOST_TABLES", "table_limit", "table_of"]

MOST_TABLES: Final = 3
"""Tables that are kept; the one that was not used for longest goes first."""

# Jobs under one key come again: a table is made for a few ciphertexts at least, and for as many uses; and
# made anew for this many times as many as it was made for.
_LEAST_EXPECTED: Final = 64
_USES: Final = 2
_MANY_MORE: Final = 4

_BYTES_PER_KEY_BIT: Final = 97_000

_Name = tuple[bytes, int]


@dataclass(slots=True)
class _Kept:
    """A key's table, and for how many ciphertexts it was made."""

    making: Lock = field(default_factory=Lock)
    expected: int = 0
    table: FixedBase | None = None


_kept: OrderedDict[_Name, _Kept] = OrderedDict()
_lock = Lock()


def table_limit(key: PublicKey) -> int:
    """Most bytes of one table: 199 MB at 2048 bits, 298 MB at 3072."""
    return _BYTES_PER_KEY_BIT * key.bits


def table_of(key: PublicKey, ring: Ring, expected: int) -> FixedBase:
    """The table for a key and the degree of a ring.

    Args:
        key: The public key.
        ring: Its arithmetic.
        expected: Ciphertexts that are to be made with it.
    """
    name, expected = (key.key_id, ring.degree), max(expected, _LEAST_EXPECTED)
    with _lock:
        kept = _kept.setdefault(name, _Kept())
        _kept.move_to_end(name)
        while len(_kept) > MOST_TABLES:
            _kept.popitem(last=False)
    with kept.making:
        if kept.table is None or expected >= _MANY_MORE * kept.expected:
            plan = FixedBase.plan(ring, key.exponent_bits, _USES * expected, table_limit(key))
            if kept.table is None or plan != kept.table.comb:
                kept.table = FixedBase(ring, _base(key, ring), plan)
            kept.expected = expected
        return kept.table


def _base(key: PublicKey, ring: Ring) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """h_s modulo N^(s+1): the lower digits of h_S."""
    digits = key.encode().h_s[: ring.parts * ring.width]
    return np.frombuffer(digits, dtype=np.uint8).reshape(ring.parts, ring.width)
