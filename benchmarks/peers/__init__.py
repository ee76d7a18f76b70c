"""The libraries that a user would take otherwise, each behind the same few verbs.

A Paillier peer encrypts, adds and decrypts whole batches in the form that it likes best (its own objects, its
own arrays, its own threads). Whoever is not installed is named in the results with the reason.
"""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import Any, Final, Protocol

from benchmarks.keys import BenchmarkKey

__all__ = ["DISTRIBUTIONS", "Absent", "PaillierPeer", "load", "presence"]

DISTRIBUTIONS: Final = {
    "phe": "phe with gmpy2",
    "gmpy2": "gmpy2, fixed base",
    "pypaillier": "pypaillier",
    "sf-heu": "sf-heu ZPaillier",
    "flwr": "Flower SecAgg+",
}


class Absent(Exception):
    """A peer is not installed, or does not run here."""


class PaillierPeer(Protocol):
    """A library with Paillier encryption. Ciphertexts are whatever it makes of a batch.

    Attributes:
        name: As it is shown.
        note: What a reader must know to compare.
        batch: Operations of one timed run.
    """

    name: str
    note: str
    batch: int

    def __init__(self, key: BenchmarkKey) -> None:
        """Take the key over, or make one of the same size where the library cannot."""
        ...

    def encode(self, plaintexts: list[int]) -> Any:
        """Plaintexts in the library's own form, made before the clock runs."""
        ...

    def encrypt(self, plaintexts: Any) -> Any:
        """Encrypt an encoded batch, each with fresh randomness."""
        ...

    def encrypted(self, numbers: list[int], ciphertexts: list[int]) -> Any:
        """A batch of numbers, encrypted: those ciphertexts where the library can take them, else its own."""
        ...

    def add(self, vectors: list[Any]) -> Any:
        """Add encrypted batches of one length, element by element."""
        ...

    def decrypt(self, ciphertexts: Any) -> list[int]:
        """Open a batch."""
        ...

    def opened(self, ciphertexts: Any) -> dict[int, int]:
        """Open a batch to check it, place by place; a sample of it, by Python's integers, without the key."""
        ...


def load(module: str, distribution: str) -> ModuleType:
    """Import a peer's module when a benchmark needs it.

    Raises:
        Absent: it is not there.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise Absent(f"{distribution} is not installed here ({error})") from None


def presence() -> dict[str, str]:
    """Each peer's version, or that it is not installed."""
    found = {}
    for distribution in DISTRIBUTIONS:
        try:
            found[distribution] = version(distribution)
        except PackageNotFoundError:
            found[distribution] = "not installed"
    return found
