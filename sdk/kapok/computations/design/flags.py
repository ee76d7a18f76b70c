"""Rules that a holder's rows break: told by a flag each, and the words beside them mean nothing then.

    holder    flag 0 and the words, or a flag and words that are random
    analyst   the flags of all added up: 0, or somebody's rows broke that rule

Source: design page "Suppression happens inside the mask".
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Final, Protocol

from kapok.computations.engines import Note
from kapok.errors import PeerProtocolError
from kapok.protocols.secure_sum.params import MOST_MEMBERS
from kapok.protocols.words import WordVector

__all__ = ["OUTSIDE", "broken_rules", "impossible", "leaving"]


OUTSIDE: Final = "outside"
"""The flag of coefficients that leave a row of somebody's without a mean: the fit steps back from there."""


class _Question(Protocol):
    @property
    def words(self) -> int: ...
    @property
    def word_bits(self) -> int: ...
    @property
    def random_bits(self) -> int: ...


def leaving(
    question: _Question, flags: Sequence[str], broken: Sequence[bool], words: Sequence[int], note: Note
) -> WordVector:
    """A holder's words as they leave it.

    Args:
        question: What they are of.
        flags: What each flag is of. The first is of a table that cannot be read: who finds that notes why.
        broken: For each flag whether its rule is broken.
        words: The words after the flags; anything where a rule is broken.
        note: Hears what was broken, for the holder's own log.
    """
    bits = question.random_bits
    if any(broken):
        for flag, is_broken in zip(flags[1:], broken[1:], strict=True):
            if is_broken:
                note("the model", flag)
        words = [secrets.randbits(bits) for _ in range(question.words - len(flags))]
    # Uniform in [1, 2^w) where the rule is broken.
    noise = [1 + secrets.randbelow((1 << bits) - 1) if is_broken else 0 for is_broken in broken]
    return WordVector.from_integers([*noise, *words], question.word_bits)


def broken_rules(question: _Question, flags: Sequence[str], words: Sequence[int]) -> tuple[str, ...]:
    """What somebody's rows broke; then no other word means anything.

    Raises:
        PeerProtocolError: ``impossible_sum`` when no holders can have sent such words.
    """
    if len(words) != question.words:
        raise impossible(f"it has {len(words)} words, not {question.words}")
    told = words[: len(flags)]
    if not all(0 <= flag < MOST_MEMBERS << question.random_bits for flag in told):
        raise impossible("a flag is out of range")
    return tuple(name for name, flag in zip(flags, told, strict=True) if flag)


def impossible(why: str) -> PeerProtocolError:
    """The error of a sum that no holders within the schema can have sent."""
    return PeerProtocolError(
        f"no holders within the schema can have sent this sum: {why}",
        code="impossible_sum",
        remedy="ask again; if it goes on, ask the holders' people which version of Kapok they run",
    )
