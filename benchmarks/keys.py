"""Keys that benchmarks run under: made new for each run, with their factors laid open for the peers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache

from kapok.protocols.paillier.keygen import generate
from kapok.protocols.paillier.private import PrivateKey
from kapok.protocols.sizes import KeyProfile

__all__ = ["BenchmarkKey", "benchmark_key"]


@dataclass(frozen=True, slots=True)
class BenchmarkKey:
    """A key pair that protects nothing.

    Attributes:
        private: As Kapok uses it.
        p: A prime factor.
        q: The other.
        h_s: The base of randomness modulo N².
    """

    private: PrivateKey
    p: int
    q: int
    h_s: int

    @property
    def n(self) -> int:
        """The modulus."""
        return self.p * self.q

    @property
    def bits(self) -> int:
        """|N|."""
        return self.n.bit_length()

    @classmethod
    def of(cls, private: PrivateKey) -> BenchmarkKey:
        """Read the factors from the form in which the key is stored."""
        stored = json.loads(private.to_json_bytes())
        p, q, base = (int(stored[name], 16) for name in ("p", "q", "h_s"))
        return cls(private, p, q, base % (p * q) ** 2)


@lru_cache
def benchmark_key(bits: int, profile: KeyProfile = "standard") -> BenchmarkKey:
    """One key of each size and profile for the whole process, new for each run."""
    return BenchmarkKey.of(generate(bits, profile))
