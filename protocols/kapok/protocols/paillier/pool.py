"""Obfuscators made ahead, in idle time: with one at hand an encryption is a single product.

    fill ──▶ h_s^a, a fresh     in memory only, at most `capacity`, made ready for a product
    encrypt ◀── one each        taken out for good before it is used

An obfuscator that hid two plaintexts would show their difference: each is handed out once, ever, whatever
number of threads ask, and its place is overwritten. A pool is never written anywhere and never copied; in a
process that was forked it is empty, for the parent uses what it holds.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Final

from kapok.errors import InvalidInput
from kapok.errors.secrecy import NeverPickled
from kapok.protocols.arithmetic import Factors, FixedBase
from kapok.protocols.paillier import scheme, vectorised
from kapok.protocols.paillier.digits import check_key, ring_of
from kapok.protocols.paillier.plaintexts import PlaintextVector
from kapok.protocols.paillier.public import PublicKey
from kapok.protocols.paillier.vector import CiphertextVector

__all__ = ["MOST_HELD", "ObfuscatorPool"]

MOST_HELD: Final = 1 << 20
"""Obfuscators of the largest pool: three gibibytes at 4096 bits and degree 1."""


class ObfuscatorPool(NeverPickled):
    """Obfuscators for one key and degree. Safe to share between threads.

    Attributes:
        key: The public key.
        degree: s.
        capacity: Most obfuscators that are held.
    """

    def __init__(self, key: PublicKey, degree: int, capacity: int, *, expected: int | None = None) -> None:
        """Make an empty pool.

        Its memory is taken at once: `PublicKey.ciphertext_bytes` for each obfuscator, with degree 1 three
        times as much.

        Args:
            key: The public key.
            degree: s.
            capacity: Most obfuscators that are held.
            expected: Plaintexts that will be encrypted in all, if more than that.

        Raises:
            InvalidInput: code ``bad_pool`` for a capacity that is not 1 to `MOST_HELD`, ``bad_result_key``
                for a key that cannot be used.
        """
        if not 1 <= capacity <= MOST_HELD:
            raise InvalidInput(f"a pool holds 1 to {MOST_HELD} obfuscators", code="bad_pool")
        check_key(key, degree)
        self.key = key
        self.degree = degree
        self.capacity = capacity
        self._expected = max(capacity, expected or 0)
        self._held = Factors.zeros(ring_of(key, degree), capacity)
        self._count = 0
        self._table: FixedBase | None = None
        self._lock = threading.Lock()
        _pools.add(self)

    def __len__(self) -> int:
        return self._count

    def __repr__(self) -> str:
        return f"<ObfuscatorPool of {self.capacity}>"

    def fill(self, most: int) -> int:
        """Make up to `most` more, and say how many there was room for: 0 when the pool is full.

        Others may take from the pool meanwhile.
        """
        wanted = min(most, self.capacity - self._count)
        if wanted < 1:
            return 0
        fresh = vectorised.obfuscators(self.key, wanted, self._table_for())
        with self._lock:
            room = min(wanted, self.capacity - self._count)
            self._held.put(self._count, fresh[:room])
            self._count += room
        return room

    def encrypt(self, plaintexts: PlaintextVector) -> CiphertextVector:
        """Encrypt with the obfuscators at hand, and what they do not suffice for as `scheme.encrypt` does.

        Raises:
            InvalidInput: code ``plaintext_overflow`` for a digit that is not below N or of another width;
                ``bad_plaintexts`` for another degree than the pool's.
        """
        if plaintexts.degree != self.degree:
            raise InvalidInput("the plaintexts have another degree than the pool", code="bad_plaintexts")
        fresh = self._take(len(plaintexts))
        parts = []
        if len(fresh):
            ready = PlaintextVector(plaintexts.digits[: len(fresh)])
            parts.append(vectorised.with_obfuscators(self.key, ready, fresh))
        if len(fresh) < len(plaintexts):
            rest = PlaintextVector(plaintexts.digits[len(fresh) :])
            parts.append(scheme.encrypt(self.key, rest, table=self._table_for()))
        body = b"".join(part.body for part in parts)
        return CiphertextVector(self.key.key_id, self.degree, len(plaintexts), body)

    def _table_for(self) -> FixedBase:
        """The table for as many as the pool was made for: held as long as the pool."""
        if self._table is None:
            self._table = scheme.table_for(self.key, self.degree, self._expected)
        return self._table

    def _take(self, most: int) -> Factors:
        """Up to `most` obfuscators, which are no longer in the pool."""
        with self._lock:
            rest = max(0, self._count - most)
            fresh = self._held.take(slice(rest, self._count))
            self._count = rest
        return fresh

    def _forget(self) -> None:
        """Empty the pool of a forked process, whose lock some thread of the parent may have held."""
        self._lock = threading.Lock()
        self._count = 0
        self._held.take(slice(None))


_pools: weakref.WeakSet[ObfuscatorPool] = weakref.WeakSet()


def _forget_all() -> None:
    for pool in list(_pools):
        pool._forget()


os.register_at_fork(after_in_child=_forget_all)
