"""The private half of a result key: the receiver's alone; the broker's code never imports this module.

Decryption works modulo p^(s+1) and q^(s+1) (`kapok.protocols.paillier.opening`) and joins what it finds by
the Chinese remainder theorem (Paillier 1999, section 7).

A key is checked in two steps. Whoever asks needs to know that the file is whole: it names the SHA-256 of the
public half, which N = p·q, h_S and the profile give, and that finds any damage in microseconds. That the
factors are prime and h_S is of their orders takes powers, the longer the higher the degree: it is checked for
a degree before the first ciphertext of it is opened.
"""

from __future__ import annotations

import math
import re
from typing import Final, Literal

import msgspec

from kapok.errors import InvalidInput
from kapok.errors.secrecy import NeverPickled
from kapok.protocols.paillier.opening import Factor, PrimePower
from kapok.protocols.paillier.plaintexts import PlaintextVector
from kapok.protocols.paillier.public import MOST_DEGREE, SUBGROUP_EXPONENT_BITS, PublicKey
from kapok.protocols.paillier.vector import CiphertextVector
from kapok.protocols.sizes import KeyProfile

__all__ = ["PrivateKey", "is_sound_pair"]

_FORMAT: Final[Literal["kapok-paillier-private-key"]] = "kapok-paillier-private-key"
_VERSION: Final[Literal["2"]] = "2"
_HEXADECIMAL: Final = re.compile(r"[1-9a-f][0-9a-f]*\Z")
_MOST_FILE_BYTES: Final = 16_384
# Ciphertexts that are raised to their powers at once.
_BLOCK: Final = 4096


class _KeyFile(NeverPickled, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The fields of a key file; numbers in hexadecimal."""

    format: Literal["kapok-paillier-private-key"] = _FORMAT
    version: Literal["2"] = _VERSION
    profile: KeyProfile
    key_id: str
    p: str
    q: str
    p_order: str
    q_order: str
    h_s: str


class PrivateKey(NeverPickled):
    """The factors of a result key's modulus. It prints nothing of them and cannot be pickled or copied.

    Attributes:
        public: The public half.
    """

    __slots__ = ("_p", "_prime_powers", "_q", "public")

    def __init__(self, p: Factor, q: Factor, h_s: int, profile: KeyProfile = "standard") -> None:
        """Take the factors and the base of randomness; `check` says whether they belong together.

        Raises:
            InvalidInput: code ``bad_private_key`` where sizes, orders or public half cannot be a key's.
        """
        bits = (p.prime * q.prime).bit_length()
        if not is_sound_pair(p.prime, q.prime, bits) or not _are_sound_orders(p, q, bits, profile):
            raise _bad_private_key("its factors are not fit for a result key")
        try:
            self.public = PublicKey(p.prime * q.prime, h_s, profile)
        except InvalidInput as error:
            raise _bad_private_key(error.message) from None
        self._p, self._q = p, q
        self._prime_powers: dict[int, tuple[PrimePower, PrimePower, int]] = {}

    def check(self, degree: int = MOST_DEGREE) -> None:
        """Check that the factors are prime, and that h_S is of their orders: sums up to `degree` open right.

        Raises:
            InvalidInput: code ``bad_private_key``.
        """
        for factor in (self._p, self._q):
            # Fermat's test, and the test that h_S is an N^s-th power of the right order, in every digit.
            if (
                pow(2, factor.prime - 1, factor.prime) != 1
                or pow(self.public.h_s, factor.order, factor.prime ** (degree + 1)) != 1
            ):
                raise _bad_private_key("its factors are not prime, or its base of randomness is not theirs")

    def prepare(self, degree: int) -> None:
        """Check the key for a degree and make what opening takes: ahead, where there is time to wait.

        Raises:
            InvalidInput: code ``bad_private_key``.
        """
        self._modulo_factors(degree)

    def decrypt(self, vector: CiphertextVector) -> PlaintextVector:
        """Open ciphertexts to the digits of their plaintexts.

        Raises:
            InvalidInput: code ``bad_private_key``: as `check`, for their degree.
            PeerProtocolError: code ``wrong_result_key`` or ``bad_ciphertext``.
        """
        return PlaintextVector.from_integers(self.public, self.decrypt_integers(vector), vector.degree)

    def decrypt_integers(self, vector: CiphertextVector) -> list[int]:
        """Open ciphertexts to integers in [0, N^degree).

        Raises:
            InvalidInput: code ``bad_private_key``: as `check`, for their degree.
            PeerProtocolError: code ``wrong_result_key`` or ``bad_ciphertext``.
        """
        ciphertexts = vector.to_integers(self.public, check_units=False)
        p, q, q_inverse = self._modulo_factors(vector.degree)
        plaintexts: list[int] = []
        for start in range(0, len(ciphertexts), _BLOCK):
            block = ciphertexts[start : start + _BLOCK]
            plaintexts += (
                modulo_q + q.modulus * ((modulo_p - modulo_q) * q_inverse % p.modulus)
                for modulo_p, modulo_q in zip(p.open(block), q.open(block), strict=True)
            )
        return plaintexts

    def to_json_bytes(self) -> bytes:
        """The key for the profile's key file, JSON in UTF-8: **secret**, only for a file of mode 0600."""
        return msgspec.json.encode(
            _KeyFile(
                profile=self.public.profile,
                key_id=self.public.key_id.hex(),
                p=f"{self._p.prime:x}",
                q=f"{self._q.prime:x}",
                p_order=f"{self._p.order:x}",
                q_order=f"{self._q.order:x}",
                h_s=f"{self.public.h_s:x}",
            )
        )

    @classmethod
    def from_json_bytes(cls, body: bytes) -> PrivateKey:
        """Read a key as `to_json_bytes` writes it, and see that nothing of it is damaged.

        Raises:
            InvalidInput: code ``bad_private_key`` for anything else; the message shows nothing of it.
        """
        if len(body) > _MOST_FILE_BYTES:
            raise _bad_private_key("the key file is too long")
        try:
            read = msgspec.json.decode(body, type=_KeyFile)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise _bad_private_key(f"the file is not of format {_FORMAT}, version {_VERSION}") from None
        texts = (read.p, read.p_order, read.q, read.q_order, read.h_s)
        if not all(_HEXADECIMAL.match(text) for text in texts):
            raise _bad_private_key("a number in the key file is not hexadecimal")
        p, p_order, q, q_order, h_s = (int(text, 16) for text in texts)
        key = cls(Factor(p, p_order), Factor(q, q_order), h_s, read.profile)
        if key.public.key_id.hex() != read.key_id:
            raise _bad_private_key("the key in the file is not the one that it names")
        return key

    def __repr__(self) -> str:
        return f"<PrivateKey of {self.public.bits} bits>"

    def _modulo_factors(self, degree: int) -> tuple[PrimePower, PrimePower, int]:
        """What opens modulo p^degree and q^degree, and q^−degree modulo p^degree; kept with the key."""
        if degree not in self._prime_powers:
            self.check(degree)
            p, q = (PrimePower(factor, self.public.n, degree) for factor in (self._p, self._q))
            self._prime_powers[degree] = p, q, pow(q.modulus, -1, p.modulus)
        return self._prime_powers[degree]


def is_sound_pair(p: int, q: int, bits: int) -> bool:
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


def _are_sound_orders(p: Factor, q: Factor, bits: int, profile: KeyProfile) -> bool:
    """Whether the exponents are those of the profile (Ma, Han, Lei 2021, section 4, for the subgroup)."""
    if profile == "standard":
        return p.cofactor == q.cofactor == 1
    p_order, q_order = p.order // 2, q.order // 2
    return (
        2 * p_order * p.cofactor == p.prime - 1
        and 2 * q_order * q.cofactor == q.prime - 1
        and p_order.bit_length() == q_order.bit_length()
        and 2 * p_order.bit_length() == SUBGROUP_EXPONENT_BITS.get(bits)
        and math.gcd(p_order * q_order, p.cofactor * q.cofactor) == 1
    )


def _bad_private_key(why: str) -> InvalidInput:
    return InvalidInput(
        f"the private result key cannot be used: {why}",
        code="bad_private_key",
        remedy="restore the profile's key file from a copy, or make a new result key",
    )
