"""A whole round of the masked sum as contenders: node, broker and analyst, each timed by itself.

The first check of the node is a whole round: all members seal their own contributions, the broker folds, the
analyst opens, and the sum must be that of the plain integers. Broker and analyst are timed on that round.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.measuring import Contender
from benchmarks.parties import WORD_BITS, Network, random_values
from benchmarks.records import Aim
from kapok.protocols.paillier.private import PrivateKey
from kapok.protocols.secure_sum.holder import Attempt, SealedContribution
from kapok.protocols.words import WordVector

__all__ = ["WholeRound"]


@dataclass(slots=True)
class _Done:
    """A round that was done and was right."""

    attempt: int
    sealed: list[SealedContribution]
    releases: list[str]
    chunks: list[bytes]
    total: npt.NDArray[np.int64]


@dataclass(slots=True)
class _Asked:
    """Fresh operands of a node."""

    attempt: Attempt
    values: npt.NDArray[np.int64]
    words: WordVector


@dataclass(slots=True)
class WholeRound:
    """A network of so many members with vectors of so many words; seal ``pad`` without a key."""

    parties: int
    words: int
    result_key: PrivateKey | None
    _network: Network = field(init=False)
    _done: _Done | None = None

    def __post_init__(self) -> None:
        self._network = Network(self.parties, self.words, self.result_key)

    def node(self, name: str, aim: Aim | None = None) -> Contender:
        """The first member seals a fresh contribution for a new attempt."""
        return Contender(
            name=name,
            role="kapok",
            units=self.words,
            prepare=self._asked,
            run=lambda asked: self._network.seal(0, asked.attempt, asked.words),
            check=self._check_node,
            aim=aim,
        )

    def broker(self, name: str, *, per_party: bool = True, aim: Aim | None = None) -> Contender:
        """All members' vectors from the wire to the sum.

        Args:
            name: As it is shown.
            per_party: Count the values of all members; else those of the vector.
            aim: What it should reach.
        """
        return Contender(
            name=name,
            role="kapok",
            units=self.words * (self.parties if per_party else 1),
            prepare=self._round,
            run=lambda done: self._network.receive(done.attempt, done.sealed),
            # The sum of the same vectors is the same bytes, and those were opened and compared.
            check=lambda done, chunks: bool(chunks == done.chunks),
            aim=aim,
        )

    def analyst(self, name: str) -> Contender:
        """From signed statements and the folded vector to integers."""
        return Contender(
            name=name,
            role="kapok",
            units=self.words,
            prepare=self._round,
            run=lambda done: self._network.open_sum(done.attempt, done.sealed, done.releases, done.chunks),
            check=lambda done, opened: bool((np.asarray(opened.words) == done.total).all()),
        )

    def _asked(self, index: int = 0, number: int | None = None) -> _Asked:
        values = random_values(self.words)
        attempt = self._network.open(index, self._network.next_attempt() if number is None else number)
        return _Asked(attempt, values, WordVector.from_int64(values, WORD_BITS))

    def _round(self) -> _Done:
        if self._done is None:
            asked = self._asked()
            self._check_node(asked, self._network.seal(0, asked.attempt, asked.words))
        assert self._done is not None
        return self._done

    def _check_node(self, asked: _Asked, sealed: SealedContribution) -> bool:
        if self._done is None:
            return self._finish(asked, sealed)
        digest = hashlib.sha256(b"".join(sealed.chunks)).digest()
        return digest == sealed.record.vector_sha256 and len(sealed.chunks) == len(self._done.chunks)

    def _finish(self, asked: _Asked, first: SealedContribution) -> bool:
        """The rest of the round, and whether its sum is right."""
        number, total, sealed = asked.attempt.context.attempt, asked.values.copy(), [first]
        for index in range(1, self.parties):
            other = self._asked(index, number)
            sealed.append(self._network.seal(index, other.attempt, other.words))
            total += other.values
        chunks = self._network.receive(number, sealed)
        self._done = _Done(number, sealed, self._network.releases(sealed), chunks, total)
        return self._opens(self._done, chunks)

    def _opens(self, done: _Done, chunks: list[bytes]) -> bool:
        opened: Any = self._network.open_sum(done.attempt, done.sealed, done.releases, chunks)
        return bool((np.asarray(opened.words) == done.total).all())
