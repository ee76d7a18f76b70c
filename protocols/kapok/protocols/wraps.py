"""Wraps: a short secret sealed to one party's public key, under a stated purpose.

    sender:    wrap(public, secret, info)   ── sealed ──▶   receiver:  key.unwrap(sealed, info)

HPKE in base mode (RFC 9180), suite KEM MLKEM768-X25519 (a hybrid: it holds as long as either ML-KEM-768,
FIPS 203, or X25519, RFC 7748, holds), KDF HKDF-SHA256, AEAD AES-256-GCM. The sender is not authenticated:
whoever receives a wrap knows its origin from the signed statement around it. `info` names the purpose and
everything the secret is bound to; a wrap opened under any other info does not open.

Encodings: public key = ML-KEM-768 encapsulation key (1184 bytes) ‖ X25519 public key (32 bytes);
private key = ML-KEM-768 seed (64 bytes) ‖ X25519 private key (32 bytes).
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from kapok.errors import InvalidInput, PeerProtocolError
from kapok.errors.secrecy import NeverPickled
from kapok.protocols.sizes import MLKEM_PUBLIC_BYTES, WRAP_KEY_BYTES, X25519_BYTES

__all__ = ["WRAP_OVERHEAD", "WrapKey", "wrap"]

_MLKEM_SEED: Final = 64
_MLKEM_CIPHERTEXT: Final = 1088
_AEAD_TAG: Final = 16

WRAP_OVERHEAD: Final = _MLKEM_CIPHERTEXT + X25519_BYTES + _AEAD_TAG
"""By how many bytes a wrap is longer than its secret."""


def _suite() -> Suite:
    return Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def _bad_key(what: str) -> InvalidInput:
    return InvalidInput(
        f"{what} is not an ML-KEM-768 and X25519 key",
        code="bad_wrap_key",
        remedy="use the key that WrapKey.generate() made, unchanged",
    )


class WrapKey(NeverPickled):
    """A private key to which others wrap secrets. Never printed, never pickled."""

    __slots__ = ("_mlkem", "_x25519")

    def __init__(self, mlkem: MLKEM768PrivateKey, x25519: X25519PrivateKey) -> None:
        self._mlkem = mlkem
        self._x25519 = x25519

    @classmethod
    def generate(cls) -> WrapKey:
        """Make a new key with the operating system's randomness."""
        return cls(MLKEM768PrivateKey.generate(), X25519PrivateKey.generate())

    @classmethod
    def from_private_bytes(cls, encoded: bytes) -> WrapKey:
        """Read what `private_bytes` wrote (96 bytes).

        Raises:
            InvalidInput: ``bad_wrap_key`` when it is anything else.
        """
        if len(encoded) != _MLKEM_SEED + X25519_BYTES:
            raise _bad_key("the private key")
        try:
            return cls(
                MLKEM768PrivateKey.from_seed_bytes(encoded[:_MLKEM_SEED]),
                X25519PrivateKey.from_private_bytes(encoded[_MLKEM_SEED:]),
            )
        except (ValueError, UnsupportedAlgorithm):
            raise _bad_key("the private key") from None

    @property
    def public(self) -> bytes:
        """The public half, 1216 bytes."""
        return self._mlkem.public_key().public_bytes_raw() + self._x25519.public_key().public_bytes_raw()

    def private_bytes(self) -> bytes:
        """The private half, 96 bytes, for a key file of mode 0600."""
        return self._mlkem.private_bytes_raw() + self._x25519.private_bytes_raw()

    def unwrap(self, sealed: bytes, info: bytes) -> bytes:
        """Open a wrap that was made for this key and this info.

        Raises:
            PeerProtocolError: ``wrap_does_not_open``; whoever knows the sender names it.
        """
        key = MLKEM768X25519PrivateKey(self._mlkem, self._x25519)
        try:
            return _suite().decrypt(sealed, key, info)
        except (InvalidTag, ValueError):
            raise PeerProtocolError(
                "a wrapped secret does not open with this key under this purpose", code="wrap_does_not_open"
            ) from None

    def __repr__(self) -> str:
        return "WrapKey(<hidden>)"


def wrap(public: bytes, secret: bytes, info: bytes) -> bytes:
    """Seal `secret` to the public key under the purpose `info`; `WRAP_OVERHEAD` bytes longer than the secret.

    Raises:
        InvalidInput: ``bad_wrap_key`` when `public` is not such a key (a key of small order among them: every
            secret wrapped to it would be one half in the open).
    """
    if len(public) != WRAP_KEY_BYTES:
        raise _bad_key("the public key")
    try:
        key = MLKEM768X25519PublicKey(
            MLKEM768PublicKey.from_public_bytes(public[:MLKEM_PUBLIC_BYTES]),
            X25519PublicKey.from_public_bytes(public[MLKEM_PUBLIC_BYTES:]),
        )
        return _suite().encrypt(secret, key, info)
    except (ValueError, UnsupportedAlgorithm):
        raise _bad_key("the public key") from None
