"""Secrets of a profile at rest, locked with its passphrase: the one that locks its identity key.

    key     = scrypt(passphrase, salt, N = 2^17, r = 8, p = 1)                       32 bytes
    sealed  = AES-256-GCM(key, nonce, secret, associated data = form ‖ what the secret is for)

Source: RFC 7914 (scrypt); NIST SP 800-38D (GCM). A profile without a passphrase keeps its secrets plain, in
files of mode 0600; what was written so stays readable when there is a passphrase later.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, Literal

import msgspec

from kapok.errors import IdentityInvalid, InvalidInput
from kapok.errors.secrecy import NeverPickled

__all__ = ["Locked", "Vault"]

_FORMAT: Final = "kapok-vault"
_LOG2_N: Final = 17
_LOG2_N_ALLOWED: Final = range(14, 21)
_SALT_BYTES: Final = 16
_NONCE_BYTES: Final = 12


class Locked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A locked secret and what it takes, beside the passphrase, to open it."""

    format: Literal["kapok-vault"] = _FORMAT
    version: Literal[1] = 1
    log2_n: int
    salt: bytes
    nonce: bytes
    sealed: bytes


class _Form(msgspec.Struct):
    format: str = ""


class Vault(NeverPickled):
    """Locks and opens with one passphrase. Never printed, never pickled."""

    __slots__ = ("_keys", "_passphrase", "_salt")

    def __init__(self, passphrase: str | None = None) -> None:
        """Take a passphrase, or that of the environment variable ``KAPOK_PASSPHRASE``, or none."""
        from kapok.identity.keyfiles import passphrase_or_environment

        self._passphrase = passphrase_or_environment(passphrase)
        self._salt = os.urandom(_SALT_BYTES)
        self._keys: dict[tuple[bytes, int], bytes] = {}

    @property
    def locks(self) -> bool:
        """Whether there is a passphrase."""
        return self._passphrase is not None

    def lock(self, secret: bytes, purpose: str) -> Locked:
        """Lock a secret, for one purpose: it opens for no other."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        if self._passphrase is None:
            raise AssertionError("nothing to lock with")
        empty = Locked(log2_n=_LOG2_N, salt=self._salt, nonce=os.urandom(_NONCE_BYTES), sealed=b"")
        key = AESGCM(self._key(self._passphrase, empty))
        return msgspec.structs.replace(empty, sealed=key.encrypt(empty.nonce, secret, _bound_to(purpose)))

    def unlock(self, locked: Locked, purpose: str, path: Path) -> bytes:
        """Open what `lock` gave. `path` is where it lies, for the messages.

        Raises:
            IdentityInvalid: ``passphrase_needed`` or ``passphrase_wrong``.
            InvalidInput: ``bad_vault``: it is damaged.
        """
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        if self._passphrase is None:
            raise IdentityInvalid(
                f"{path} is locked with a passphrase",
                code="passphrase_needed",
                remedy="give the passphrase in the environment variable KAPOK_PASSPHRASE",
            )
        sizes = (len(locked.salt), len(locked.nonce))
        if sizes != (_SALT_BYTES, _NONCE_BYTES) or locked.log2_n not in _LOG2_N_ALLOWED:
            raise _damaged(path)
        try:
            key = AESGCM(self._key(self._passphrase, locked))
            return key.decrypt(locked.nonce, locked.sealed, _bound_to(purpose))
        except InvalidTag:
            raise IdentityInvalid(
                f"the passphrase does not open {path}",
                code="passphrase_wrong",
                remedy="give the passphrase that was set when the file was written; "
                "if it is the right one, the file is damaged",
            ) from None

    def unlock_file(self, content: bytes, purpose: str, path: Path) -> bytes:
        """The secret in a file's content: the content itself, if it was written without a passphrase."""
        try:
            if msgspec.json.decode(content, type=_Form).format != _FORMAT:
                return content
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return content
        try:
            locked = msgspec.json.decode(content, type=Locked)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise _damaged(path) from None
        return self.unlock(locked, purpose, path)

    def _key(self, passphrase: str, form: Locked) -> bytes:
        """Derived once for each salt: it takes a while, and this is its purpose."""
        from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

        known = self._keys.get((form.salt, form.log2_n))
        if known is None:
            kdf = Scrypt(salt=form.salt, length=32, n=2**form.log2_n, r=8, p=1)
            known = self._keys[form.salt, form.log2_n] = kdf.derive(passphrase.encode())
        return known

    def __repr__(self) -> str:
        return "Vault(<hidden>)"


def _bound_to(purpose: str) -> bytes:
    return f"{_FORMAT}-1\n{purpose}".encode()


def _damaged(path: Path) -> InvalidInput:
    return InvalidInput(
        f"{path} is locked in a form that this version does not know, or damaged",
        code="bad_vault",
        remedy="bring it back from a backup, or use the version of Kapok that wrote it",
    )
