"""The public half of a result key: what every holder encrypts under and the broker multiplies by.

The key is (N, h_s): N = p·q, and h_s = h^N mod N² with h = −y² mod N for a random unit y (Damgård, Jurik,
Nielsen 2010, with s = 1). Each ciphertext is (1+N)^m · h_s^a mod N²; any ordinary Paillier private
key of N opens it.

A key is checked against crashes, not for secrecy: nobody but its owner can tell whether N has two large prime
factors, and a bad key opens its owner's sums alone, which masks hide besides.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from kapok.errors import InvalidInput
from kapok.protocols.paillier.number_theory import has_small_factor, jacobi

__all__ = ["LEAST_KEY_BITS", "MOST_KEY_BITS", "PublicKey"]

LEAST_KEY_BITS: Final = 2048
MOST_KEY_BITS: Final = 4096
_KEY_ID_LABEL: Final = b"kapok paillier result key 1"
_MOST_DECODED_KEYS: Final = 32


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A Paillier public key that has passed all checks.

    Attributes:
        n: The modulus N, odd, 2048 to 4096 bits, no prime factor below 2^16.
        h_s: The base of the randomness modulo N², a unit, not ±1 or 0 modulo N, Jacobi symbol +1.
        n_squared: N².
        key_id: SHA-256 of the encoded key, 32 bytes.

    Raises:
        InvalidInput: code ``bad_result_key``.
    """

    n: int = field(repr=False)
    h_s: int = field(repr=False)
    n_squared: int = field(init=False, repr=False, compare=False)
    key_id: bytes = field(init=False, compare=False)

    def __post_init__(self) -> None:
        _check_modulus(self.n)
        object.__setattr__(self, "n_squared", self.n * self.n)
        _check_randomness_base(self.n, self.n_squared, self.h_s)
        digest = hashlib.sha256(_KEY_ID_LABEL)
        for encoded in self.encode():
            digest.update(len(encoded).to_bytes(4, "big") + encoded)
        object.__setattr__(self, "key_id", digest.digest())

    @classmethod
    def decode(cls, n: bytes, h_s: bytes) -> PublicKey:
        """Read a key as `encode` writes it: big-endian, N without leading zeros, h_s in twice its bytes.

        Raises:
            InvalidInput: code ``bad_result_key``.
        """
        return _decoded(bytes(n), bytes(h_s))

    def encode(self) -> tuple[bytes, bytes]:
        """N in `digit_bytes` bytes and h_s in twice as many, big-endian."""
        return self.n.to_bytes(self.digit_bytes, "big"), self.h_s.to_bytes(self.ciphertext_bytes, "big")

    @property
    def bits(self) -> int:
        """|N|, the size of the modulus in bits."""
        return self.n.bit_length()

    @property
    def digit_bytes(self) -> int:
        """Bytes of one N-adic digit on the wire, ⌈|N|/8⌉."""
        return -(-self.bits // 8)

    @property
    def ciphertext_bytes(self) -> int:
        """Bytes of one ciphertext on the wire: two digits."""
        return 2 * self.digit_bytes

    @property
    def exponent_bits(self) -> int:
        """Bits of the random exponent a, ⌈|N|/2⌉ (Damgård, Jurik, Nielsen 2010)."""
        return -(-self.bits // 2)


@lru_cache(maxsize=_MOST_DECODED_KEYS)
def _decoded(n: bytes, h_s: bytes) -> PublicKey:
    if len(n) > -(-MOST_KEY_BITS // 8):
        raise _bad_key(f"its modulus is larger than {MOST_KEY_BITS} bits")
    if not n or n[0] == 0 or len(h_s) != 2 * len(n):
        raise _bad_key("it is not encoded canonically")
    return PublicKey(int.from_bytes(n, "big"), int.from_bytes(h_s, "big"))


def _check_modulus(n: int) -> None:
    bits = n.bit_length()
    if n <= 0 or bits < LEAST_KEY_BITS:
        raise _bad_key(f"its modulus is smaller than {LEAST_KEY_BITS} bits")
    if bits > MOST_KEY_BITS:
        raise _bad_key(f"its modulus is larger than {MOST_KEY_BITS} bits")
    if n % 2 == 0:
        raise _bad_key("its modulus is even")
    if has_small_factor(n):
        raise _bad_key("its modulus has a small prime factor")


def _check_randomness_base(n: int, n_squared: int, h_s: int) -> None:
    if not 1 < h_s < n_squared:
        raise _bad_key("its base of randomness is out of range")
    residue = h_s % n
    if residue in (0, 1, n - 1):
        raise _bad_key("its base of randomness is 0, 1 or −1")
    if math.gcd(residue, n) != 1:
        raise _bad_key("its base of randomness shares a factor with its modulus")
    if jacobi(residue, n) != 1:
        raise _bad_key("its base of randomness has Jacobi symbol −1")


def _bad_key(why: str) -> InvalidInput:
    return InvalidInput(
        f"the result key cannot be used: {why}",
        code="bad_result_key",
        remedy="make a new result key for the analyst's profile and submit the job again",
    )
