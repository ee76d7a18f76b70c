"""Private keys and the files they lie in: mode 0600, written whole or not at all, refused when wider.

P-256 (SEC 2, section 2.4.2) for TLS and for signatures; PKCS #8 in PEM, encrypted when there is a passphrase.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kapok.errors import IdentityInvalid, InvalidInput, NotFound

__all__ = [
    "PASSPHRASE_VARIABLE",
    "decode_key",
    "encode_key",
    "generate_key",
    "make_private_folder",
    "passphrase_or_environment",
    "read_private_file",
    "read_or_make_private_file",
    "read_public_file",
    "refuse_open_folder",
    "replace_file",
    "write_new_file",
]

PASSPHRASE_VARIABLE: Final = "KAPOK_PASSPHRASE"  # noqa: S105 - a variable's name
_MOST_BYTES: Final = 2**20


def generate_key() -> ec.EllipticCurvePrivateKey:
    """Return a new P-256 key, from the operating system's randomness."""
    return ec.generate_private_key(ec.SECP256R1())


def passphrase_or_environment(passphrase: str | None) -> str | None:
    """Return the passphrase given, else that of the environment variable ``KAPOK_PASSPHRASE``, else None."""
    return passphrase or os.environ.get(PASSPHRASE_VARIABLE) or None


def encode_key(key: ec.EllipticCurvePrivateKey, passphrase: str | None) -> bytes:
    """Return a key as PKCS #8 in PEM, encrypted when there is a passphrase."""
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        encryption = serialization.BestAvailableEncryption(passphrase.encode("utf-8"))
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def decode_key(pem: bytes, passphrase: str | None, path: Path) -> ec.EllipticCurvePrivateKey:
    """Read a key that `encode_key` wrote. `path` is for the messages.

    Raises:
        IdentityInvalid: ``passphrase_needed``, ``passphrase_wrong``, or ``bad_key`` when it is no P-256 key.
    """
    encrypted = b"BEGIN ENCRYPTED PRIVATE KEY" in pem
    if encrypted and not passphrase:
        raise IdentityInvalid(
            f"the private key {path} is locked with a passphrase",
            code="passphrase_needed",
            remedy=f"give the passphrase, for example in the environment variable {PASSPHRASE_VARIABLE}",
        )
    password = passphrase.encode("utf-8") if encrypted and passphrase else None
    try:
        key = serialization.load_pem_private_key(pem, password)
    except Exception as error:  # noqa: BLE001 - of many classes; none may leave, nor quote the key
        if encrypted and isinstance(error, ValueError):
            raise IdentityInvalid(
                f"the passphrase does not open the private key {path}",
                code="passphrase_wrong",
                remedy="give the passphrase with which this identity was enrolled",
            ) from None
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise IdentityInvalid(
            f"{path} is not a P-256 private key in PEM",
            code="bad_key",
            remedy="bring it back from a backup, or enrol again in an empty home folder with a new token",
        )
    return key


def make_private_folder(folder: Path) -> None:
    """Make a folder (and those above it) that only its owner can enter; refuse one that others can write.

    Raises:
        InvalidInput: ``bad_folder`` when it cannot be made.
        IdentityInvalid: ``folder_too_open``.
    """
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise InvalidInput(
            f"the folder {folder} cannot be made: {error.strerror}",
            code="bad_folder",
            remedy="name another with --home",
        ) from None
    refuse_open_folder(folder)


def refuse_open_folder(folder: Path) -> None:
    """Refuse a folder that others can write: they could put their own root certificate into it.

    Raises:
        InvalidInput: ``bad_folder`` when it cannot be looked at.
        IdentityInvalid: ``folder_too_open``.
    """
    try:
        mode = folder.stat().st_mode
    except OSError as error:
        raise InvalidInput(
            f"the folder {folder} cannot be looked at: {error.strerror}",
            code="bad_folder",
            remedy="run as the user who owns it, or name another with --home",
        ) from None
    if stat.S_IMODE(mode) & 0o022:
        raise IdentityInvalid(
            f"the folder {folder} can be written by other users of this machine",
            code="folder_too_open",
            remedy=f"chmod 700 {folder}",
        )


def write_new_file(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Write a file that is not there yet: whole, on disk, with its mode from the first instant on.

    Raises:
        InvalidInput: ``file_exists``; the file there is left as it is. ``bad_file`` when it cannot be
            written.
    """
    _write(path, content, mode, replace=False)


def replace_file(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Write a file, whole or not at all; one that is there is replaced in one step.

    Raises:
        InvalidInput: ``bad_file`` when it cannot be written.
    """
    _write(path, content, mode, replace=True)


def read_public_file(path: Path) -> bytes:
    """Read a file that holds no secret: a certificate.

    Raises:
        NotFound: ``no_identity`` when there is none.
        IdentityInvalid: ``bad_certificate`` when it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES)
    except FileNotFoundError:
        raise NotFound(
            f"the identity here is not complete: {path} is missing",
            code="no_identity",
            remedy="finish enrolling: give the same token again (`kapok enroll TOKEN`)",
        ) from None
    except OSError as error:
        raise IdentityInvalid(
            f"{path} cannot be read: {error.strerror}", code="bad_certificate", remedy="run as its owner"
        ) from None


def read_private_file(path: Path) -> bytes:
    """Read a file that holds a secret, refusing one that others may read.

    Raises:
        NotFound: ``no_identity`` when there is none.
        IdentityInvalid: ``key_file_too_open`` when its mode is wider than 0600.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise IdentityInvalid(
                    f"the private key {path} has mode {mode:04o}: other users of this machine may read it",
                    code="key_file_too_open",
                    remedy=f"chmod 600 {path}",
                )
            return file.read(_MOST_BYTES)
    except FileNotFoundError:
        raise NotFound(
            f"there is no identity here: {path} is missing",
            code="no_identity",
            remedy="enrol with a token of your authority (`kapok enroll TOKEN`), or name another --home",
        ) from None
    except OSError as error:
        raise IdentityInvalid(
            f"{path} cannot be read: {error.strerror}",
            code="bad_key",
            remedy="run as the user who owns it",
        ) from None


def read_or_make_private_file(path: Path, make: Callable[[], bytes]) -> bytes:
    """Read a file that holds a secret; when there is none, make the secret first and keep it.

    Raises:
        IdentityInvalid: ``key_file_too_open`` when its mode is wider than 0600.
        InvalidInput: ``bad_file`` when it cannot be written.
    """
    if not path.exists():
        write_new_file(path, make())
    return read_private_file(path)


def _write(path: Path, content: bytes, mode: int, *, replace: bool) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            if replace:
                draft.replace(path)
            else:
                os.link(draft, path)  # unlike a rename, it refuses to replace
        finally:
            draft.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except FileExistsError:
        raise InvalidInput(
            f"{path} is there already", code="file_exists", remedy="move it away, or name another place"
        ) from None
    except OSError as error:
        raise InvalidInput(
            f"{path} cannot be written: {error.strerror}",
            code="bad_file",
            remedy="see that this user may write there and that the disk is not full",
        ) from None


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
