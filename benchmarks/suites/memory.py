"""Peak memory of a node's and of the broker's process while they make a sum, which is opened and compared."""

from __future__ import annotations

from typing import Final

from benchmarks.keys import benchmark_key
from benchmarks.memory import peaks_of_a_sum
from benchmarks.records import Aim
from benchmarks.session import Session

__all__ = ["run"]

_MOST: Final = {"node": 1_000_000_000, "broker": 500_000_000}
_AIM_WORDS: Final = 10_000_000


def run(session: Session) -> None:
    """Both seals at 10,000,000 values, smaller vectors in the short form; with one thread only.

    Raises:
        WrongResult: the sum is not that of the plain integers.
        BenchmarkError: a process failed.
    """
    if session.threads > 1:
        return
    short, bits = session.options.short, min(session.options.bits)
    for key_bits, words, parties in (
        (None, 1_000_000 if short else _AIM_WORDS, 10),
        (bits, 50_000 if short else _AIM_WORDS, 3),
    ):
        seal = "pad" if key_bits is None else f"paillier {key_bits}"
        session.say(f"memory: {seal}, {words:,} values, {parties} parties")
        key = None if key_bits is None else benchmark_key(key_bits).private
        peaks = peaks_of_a_sum(words, parties, key)
        for role, most in _MOST.items():
            session.fact(
                "memory/peak",
                f"peak memory of the {role}'s process",
                "B",
                peaks[role],
                parameters={"seal": seal, "values": words, "parties": parties},
                aim=Aim(of="value", most=most) if words == _AIM_WORDS else None,
                note=f"{min(peaks['start']) / 1e6:.0f} MB of it before any vector; the sum was opened",
            )
