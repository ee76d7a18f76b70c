"""The private half of a result key: the receiver's alone; the broker's code never imports this module.

Decryption works modulo p² and q² and joins both by the Chinese remainder theorem (Paillier 1999, section 7):

    m mod p = L_p(c^(p−1) mod p²) · L_p((1+N)^(p−1) mod p²)⁻¹ mod p,   L_p(x) = (x − 1)/p

Primes come from OpenSSL's RSA key generation: those ≡ 3 (mod 4) are pooled and paired with gcd(p−1, q−1) = 2,
so that −1 has Jacobi symbol +1 and h = −y² generates almost surely all units of that symbol (Damgård, Jurik,
Nielsen 2010).
"""

from __future__ import annotations

import math
import re
import secrets
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric import rsa

from kapok.errors import InvalidInput
from kapok.errors.secrecy import NeverPickled
from kapok.protocols.paillier.public import LEAST_KEY_BITS, PublicKey
from kapok.protocols.paillier.vector import CiphertextVector
from kapok.protocols.sizes import DEFAULT_KEY_BITS, GENERATED_KEY_BITS

__all__ = ["PrivateKey", "generate"]

_FORMAT: Final = "kapok-paillier-private-key"
_VERSION: Final = "1"
_FIELDS: Final = frozenset({"format", "version", "p", "q", "h_s"})
_HEXADECIMAL: Final = re.compile(r"[1-9a-f][0-9a-f]*\Z")
_MOST_FILE_BYTES: Final = 16_384
_RSA_EXPONENT: Final = 65_537


class PrivateKey(NeverPickled):
    """The factors of a result key's modulus. It prints nothing of them and cannot be pickled or copied.

    Attributes:
        public: The public half.
    """

    __slots__ = ("_p", "_p_scale", "_q", "_q_inverse", "_q_scale", "public")

    def __init__(self, p: int, q: int, h_s: int) -> None:
        """Take the factors and the base of randomness, and check that they belong together.

        Raises:
            InvalidInput: code ``bad_private_key`` where they make no sound key.
        """
        if not _is_sound_pair(p, q, (p * q).bit_length()):
            raise _bad_private_key("its factors are not fit for a result key")
        try:
            self.public = PublicKey(p * q, h_s)
        except InvalidInput as error:
            raise _bad_private_key(error.message) from None
        if pow(h_s, p - 1, p * p) != 1 or pow(h_s, q - 1, q * q) != 1:
            # Fermat's test of p and q and the test that h_s is an N-th power, in one.
            raise _bad_private_key("its factors are not prime, or its base of randomness is not theirs")
        self._p = p
        self._q = q
        # L_p((1+N)^(p−1) mod p²) = L_p(1 + (p−1)·N mod p²) = (p−1)·q mod p = −q mod p, and so for q.
        self._p_scale = pow(-q, -1, p)
        self._q_scale = pow(-p, -1, q)
        self._q_inverse = pow(q, -1, p)

    def decrypt(self, vector: CiphertextVector) -> list[int]:
        """Open ciphertexts to integers in [0, N).

        Raises:
            PeerProtocolError: code ``wrong_result_key`` or ``bad_ciphertext``.
        """
        return [self._opened(ciphertext) for ciphertext in vector.to_integers(self.public)]

    def to_json_bytes(self) -> bytes:
        """The key for the profile's key file, JSON in UTF-8: **secret**, only for a file of mode 0600."""
        return msgspec.json.encode(
            {
                "format": _FORMAT,
                "version": _VERSION,
                "p": f"{self._p:x}",
                "q": f"{self._q:x}",
                "h_s": f"{self.public.h_s:x}",
            }
        )

    @classmethod
    def from_json_bytes(cls, body: bytes) -> PrivateKey:
        """Read a key as `to_json_bytes` writes it.

        Raises:
            InvalidInput: code ``bad_private_key`` for anything else; the message shows nothing of it.
        """
        if len(body) > _MOST_FILE_BYTES:
            raise _bad_private_key("the key file is too long")
        try:
            fields = msgspec.json.decode(body, type=dict[str, str])
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise _bad_private_key("the key file is not the JSON that belongs there") from None
        if fields.get("format") != _FORMAT or fields.get("version") != _VERSION:
            raise _bad_private_key(f"the key file is not of format {_FORMAT}, version {_VERSION}")
        if fields.keys() != _FIELDS:
            raise _bad_private_key("the key file has missing or unknown fields")
        numbers = [fields[name] for name in ("p", "q", "h_s")]
        if not all(_HEXADECIMAL.match(number) for number in numbers):
            raise _bad_private_key("a number in the key file is not hexadecimal")
        p, q, h_s = (int(number, 16) for number in numbers)
        return cls(p, q, h_s)

    def __repr__(self) -> str:
        return f"<PrivateKey of {self.public.bits} bits>"

    def _opened(self, ciphertext: int) -> int:
        modulo_p = _log(ciphertext, self._p) * self._p_scale % self._p
        modulo_q = _log(ciphertext, self._q) * self._q_scale % self._q
        return modulo_q + self._q * ((modulo_p - modulo_q) * self._q_inverse % self._p)


def generate(bits: int = DEFAULT_KEY_BITS) -> PrivateKey:
    """Make a new result key, randomness from the operating system.

    Args:
        bits: Exact size of the modulus: 2048, 3072 (the default) or 4096.

    Raises:
        InvalidInput: code ``key_too_small`` below 2048 bits, ``bad_key_size`` for another size.
    """
    allowed = ", ".join(str(size) for size in GENERATED_KEY_BITS)
    if bits not in GENERATED_KEY_BITS:
        code = "key_too_small" if bits < LEAST_KEY_BITS else "bad_key_size"
        raise InvalidInput(
            f"a result key cannot have {bits} bits", code=code, remedy=f"choose one of {allowed} bits"
        )
    p, q = _prime_pair(bits)
    n = p * q
    while True:
        y = secrets.randbelow(n)
        h = -y * y % n
        if h not in (0, 1, n - 1) and math.gcd(y, n) == 1:
            return PrivateKey(p, q, pow(h, n, n * n))


def _prime_pair(bits: int) -> tuple[int, int]:
    """Two primes from a growing pool that fit each other."""
    pool: list[int] = []
    while True:
        numbers = rsa.generate_private_key(_RSA_EXPONENT, bits).private_numbers()
        for prime in (numbers.p, numbers.q):
            for partner in pool:
                if _is_sound_pair(prime, partner, bits):
                    return prime, partner
            pool.append(prime)


def _is_sound_pair(p: int, q: int, bits: int) -> bool:
    """Whether p and q, if prime, make a modulus of `bits` bits whose units are as h needs them."""
    return (
        min(p, q) > 0
        and p % 4 == 3
        and q % 4 == 3
        and p.bit_length() == q.bit_length()
        and (p * q).bit_length() == bits
        and abs(p - q).bit_length() > bits // 2 - 100
        and math.gcd(p - 1, q - 1) == 2
    )


def _log(base: int, prime: int) -> int:
    """L_p(base^(p−1) mod p²): p-th of what is left over 1."""
    return (pow(base, prime - 1, prime * prime) - 1) // prime


def _bad_private_key(why: str) -> InvalidInput:
    return InvalidInput(
        f"the private result key cannot be used: {why}",
        code="bad_private_key",
        remedy="restore the profile's key file from a copy, or make a new result key",
    )
