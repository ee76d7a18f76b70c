"""The public half of a result key: what every holder encrypts under and the broker multiplies by.

The key is (N, h_S), N = p·q. A ciphertext of degree s, 1 ≤ s ≤ S, is (1+N)^m · h_s^a mod N^(s+1), where m
is a plaintext in [0, N^s), a is random and h_s = h_S mod N^(s+1) (Damgård, Jurik 2001; the randomness is
that of Damgård, Jurik, Nielsen 2010). Any ordinary Paillier private key of N opens it.

One base serves all degrees. Let h_S be the unit modulo N^(S+1) with h_S ≡ −y² (mod N), y random, whose
order divides φ(N); by the Chinese remainder theorem it is put together from the Teichmüller lifts of −y²
modulo p and q. Because gcd(N, φ(N)) = 1, raising to the power N^s permutes the units modulo N as well as
the units modulo N^(s+1) of an order that divides φ(N), and the latter are exactly the N^s-th powers, one
above each unit modulo N. So h_S mod N^(s+1) is the N^s-th power of some h, and h^(N^s) ≡ −y² (mod N). The
exponent is odd and −1 its own power, so h ≡ −y′² with y′ the root of y: y′ is as uniform as y, and h is the
base that Damgård, Jurik and Nielsen ask for, in each degree.

Two profiles say how long a is, and what y may be:

    standard    ⌈|N|/2⌉ bits, y any unit (Damgård, Jurik, Nielsen 2010)
    subgroup    448 bits at |N| = 2048, 512 at 3072: −y² has order 2·p′·q′ with primes p′ | p−1, q′ | q−1
                of half as many bits each (Ma, Han, Lei, *Optimized Paillier's cryptosystem with fast
                encryption and decryption*, ACSAC 2021)

The second is faster on a less usual assumption, and whoever finds p′ by its square root of steps, 2^112 or
2^128, factors N: exactly the security of the modulus, with nothing to spare. It is there for who asks for
it by name.

A key is checked against crashes, not for secrecy: nobody but its owner can tell whether N has two large prime
factors, and a bad key opens its owner's sums alone, which masks hide besides.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NamedTuple, get_args

from kapok.errors import InvalidInput
from kapok.protocols.paillier.number_theory import has_small_factor, jacobi
from kapok.protocols.radix import digits_in, read_numbers, write_numbers
from kapok.protocols.sizes import KeyProfile

__all__ = [
    "LEAST_KEY_BITS",
    "MOST_DEGREE",
    "MOST_KEY_BITS",
    "SUBGROUP_EXPONENT_BITS",
    "EncodedKey",
    "PublicKey",
]

LEAST_KEY_BITS: Final = 2048
MOST_KEY_BITS: Final = 4096
MOST_DEGREE: Final = 4
"""S, the largest degree that a key serves."""
SUBGROUP_EXPONENT_BITS: Final = {2048: 448, 3072: 512}
"""Bits of the random exponent under the subgroup profile by |N|: the sizes that its authors give."""

_KEY_ID_LABEL: Final = b"kapok paillier result key 2"
_MOST_DECODED_KEYS: Final = 32


class EncodedKey(NamedTuple):
    """A public key as it travels.

    Attributes:
        n: N, big-endian without leading zeros.
        h_s: h_S as `MOST_DEGREE` + 1 N-adic digits, the lowest first, each little-endian in as many bytes
            as N.
        profile: Its profile's name.
    """

    n: bytes
    h_s: bytes
    profile: KeyProfile


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A Paillier public key that has passed all checks.

    Attributes:
        n: The modulus N, odd, 2048 to 4096 bits, no prime factor below 2^16.
        h_s: The base of the randomness modulo N^(`MOST_DEGREE` + 1); modulo N it is a unit, not ±1 or 0, of
            Jacobi symbol +1.
        profile: ``standard`` or ``subgroup``.
        key_id: SHA-256 of the encoded key with its profile's name, 32 bytes.

    Raises:
        InvalidInput: code ``bad_result_key``.
    """

    n: int = field(repr=False)
    h_s: int = field(repr=False)
    profile: KeyProfile = "standard"
    key_id: bytes = field(init=False, compare=False)

    def __post_init__(self) -> None:
        _check_modulus(self.n)
        _check_profile(self.profile, self.bits)
        _check_randomness_base(self.n, self.h_s)
        digest = hashlib.sha256(_KEY_ID_LABEL)
        n, h_s, profile = self.encode()
        for encoded in (n, h_s, profile.encode()):
            digest.update(len(encoded).to_bytes(4, "big") + encoded)
        object.__setattr__(self, "key_id", digest.digest())

    @classmethod
    def decode(cls, n: bytes, h_s: bytes, profile: KeyProfile) -> PublicKey:
        """Read a key as `encode` writes it.

        Raises:
            InvalidInput: code ``bad_result_key``.
        """
        return _decoded(bytes(n), bytes(h_s), profile)

    def encode(self) -> EncodedKey:
        """The key as it travels."""
        h_s = write_numbers([self.h_s], self.n, MOST_DEGREE + 1, self.digit_bytes)
        return EncodedKey(self.n.to_bytes(self.digit_bytes, "big"), h_s, self.profile)

    @property
    def bits(self) -> int:
        """|N|, the size of the modulus in bits."""
        return self.n.bit_length()

    @property
    def digit_bytes(self) -> int:
        """Bytes of one N-adic digit on the wire, ⌈|N|/8⌉."""
        return -(-self.bits // 8)

    def ciphertext_bytes(self, degree: int) -> int:
        """Bytes of one ciphertext of this degree on the wire: degree + 1 digits."""
        return (degree + 1) * self.digit_bytes

    @property
    def exponent_bits(self) -> int:
        """Bits of the random exponent a: ⌈|N|/2⌉, or what the subgroup profile says."""
        return SUBGROUP_EXPONENT_BITS[self.bits] if self.profile == "subgroup" else -(-self.bits // 2)


@lru_cache(maxsize=_MOST_DECODED_KEYS)
def _decoded(n: bytes, h_s: bytes, profile: KeyProfile) -> PublicKey:
    if len(n) > -(-MOST_KEY_BITS // 8):
        raise _bad_key(f"its modulus is larger than {MOST_KEY_BITS} bits")
    if not n or n[0] == 0 or len(h_s) != (MOST_DEGREE + 1) * len(n):
        raise _bad_key("it is not encoded canonically")
    modulus = int.from_bytes(n, "big")
    if any(digit >= modulus for digit in digits_in(h_s, len(n))):
        raise _bad_key("its base of randomness is not encoded canonically")
    (base,) = read_numbers(h_s, modulus, MOST_DEGREE + 1, len(n))
    return PublicKey(modulus, base, profile)


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


def _check_profile(profile: KeyProfile, bits: int) -> None:
    if profile not in get_args(KeyProfile):
        raise _bad_key("this version does not know its profile")
    if profile == "subgroup" and bits not in SUBGROUP_EXPONENT_BITS:
        raise _bad_key(f"the profile {profile} is not defined for {bits} bits")


def _check_randomness_base(n: int, h_s: int) -> None:
    if not 1 < h_s < n ** (MOST_DEGREE + 1):
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
