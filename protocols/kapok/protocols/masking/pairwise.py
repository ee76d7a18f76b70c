"""Pairwise keys: X25519 (RFC 7748), then HKDF-SHA256 (RFC 5869) bound to what the pair must agree on."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from kapok.errors import PeerProtocolError
from kapok.errors.secrecy import NeverPickled

__all__ = ["KEY_BYTES", "MaskKey", "derive"]

KEY_BYTES: Final = 32


def derive(secret: bytes, info: bytes, length: int = KEY_BYTES) -> bytes:
    """Derive `length` bytes from a secret for the purpose `info` (HKDF-SHA256, RFC 5869, no salt)."""
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(secret)


class MaskKey(NeverPickled):
    """A party's private key for masks: one job, memory only. Never printed, pickled or revealed."""

    __slots__ = ("_private",)

    def __init__(self) -> None:
        self._private = X25519PrivateKey.generate()

    @property
    def public(self) -> bytes:
        """The public half, 32 bytes."""
        return self._private.public_key().public_bytes_raw()

    def agree(self, public: bytes, info: bytes, *, party: str) -> bytes:
        """The 32-byte key shared with the holder of `public`, bound to `info`.

        Args:
            public: The other party's X25519 public key, 32 bytes.
            info: Everything that both must agree on; who disagrees gets another key.
            party: The other party's name, for the error.

        Raises:
            PeerProtocolError: ``bad_mask_key`` when the key is malformed or of small order. The shared secret
                would be all zero, known to everybody, and the mask no mask.
        """
        try:
            shared = self._private.exchange(X25519PublicKey.from_public_bytes(public))
        except ValueError:
            shared = bytes(KEY_BYTES)
        if shared == bytes(KEY_BYTES):
            raise PeerProtocolError(
                f"the mask key of {party} is malformed or of small order", code="bad_mask_key", party=party
            )
        return derive(shared, info)

    def __repr__(self) -> str:
        return "MaskKey(<hidden>)"
