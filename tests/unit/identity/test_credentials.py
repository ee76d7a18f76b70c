import copy
import os
import pickle
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kapok.errors import IdentityInvalid, InvalidInput, KapokError, NotFound
from kapok.identity.credentials import Credentials
from kapok.identity.keyfiles import (
    decode_key,
    encode_key,
    generate_key,
    make_private_folder,
    read_or_make_private_file,
    read_private_file,
    refuse_open_folder,
    replace_file,
    write_new_file,
)

NOW = 1_800_000_000.0
LEAF = "spiffe://kapok.test/org/clinic/node/one"


@pytest.fixture(autouse=True)
def _no_passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KAPOK_PASSPHRASE", raising=False)


@pytest.fixture
def home(tmp_path: Path, domain: Any) -> Path:
    return store(tmp_path / "home", domain)


def store(home: Path, domain: Any, *, passphrase: str | None = None, **changes: Any) -> Path:
    key = generate_key()
    folder = home / "identity"
    make_private_folder(folder)
    write_new_file(folder / "key.pem", encode_key(key, passphrase))
    pem = domain.forge(key, **changes).public_bytes(serialization.Encoding.PEM)
    write_new_file(folder / "certificate.pem", pem, mode=0o644)
    write_new_file(folder / "root.pem", domain.root.pem, mode=0o644)
    return home


def refuse(
    home: Path, code: str, kind: type[KapokError] = IdentityInvalid, passphrase: str | None = None
) -> KapokError:
    with pytest.raises(kind) as caught:
        Credentials.load(home, passphrase, clock=lambda: NOW)
    assert caught.value.code == code
    assert caught.value.remedy
    return caught.value


def test_loads_and_signs(home: Path, domain: Any, clock: Callable[[], float]) -> None:
    credentials = Credentials.load(home, clock=clock)
    assert str(credentials.name) == LEAF
    assert credentials.root_pem == domain.root.pem
    assert credentials.certificate_pem == (home / "identity" / "certificate.pem").read_bytes()
    assert len(credentials.fingerprint) == len(credentials.key_fingerprint) == 32
    key = credentials.certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(credentials.sign(b"message"), b"message", ec.ECDSA(hashes.SHA256()))
    assert (home / "identity").stat().st_mode & 0o777 == 0o700
    assert (home / "identity" / "key.pem").stat().st_mode & 0o777 == 0o600


def test_shows_and_gives_away_nothing(home: Path, clock: Callable[[], float]) -> None:
    credentials = Credentials.load(home, clock=clock)
    secret = credentials.private_key().private_numbers().private_value
    for text in (repr(credentials), str(credentials), f"{credentials!r}"):
        assert text == f"<Credentials of {LEAF}>"
        assert str(secret) not in text
    for take in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            take(credentials)
    assert not hasattr(credentials, "__dict__")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610])
def test_a_key_file_wider_than_0600_is_refused(home: Path, mode: int) -> None:
    path = home / "identity" / "key.pem"
    path.chmod(mode)
    error = refuse(home, "key_file_too_open")
    assert error.remedy == f"chmod 600 {path}"
    path.chmod(0o400)
    assert Credentials.load(home, clock=lambda: NOW)


def test_an_identity_folder_that_others_write_is_refused(home: Path) -> None:
    (home / "identity").chmod(0o770)
    assert refuse(home, "folder_too_open").remedy == f"chmod 700 {home / 'identity'}"


@pytest.mark.parametrize("name", ["key.pem", "certificate.pem", "root.pem"])
def test_missing_and_garbled_files(home: Path, name: str) -> None:
    path = home / "identity" / name
    path.write_bytes(b"-----BEGIN NONSENSE-----\n")
    codes = {"key.pem": "bad_key", "certificate.pem": "bad_certificate", "root.pem": "bad_certificate"}
    refuse(home, codes[name])
    path.unlink()
    assert str(path) in refuse(home, "no_identity", NotFound).message


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"days": (-9, -1)}, "certificate_expired"),
        ({"days": (1, 9)}, "certificate_not_yet_valid"),
        ({"signed_by": generate_key()}, "foreign_certificate"),
    ],
)
def test_bad_certificates_are_found_here(
    tmp_path: Path, domain: Any, changes: dict[str, Any], code: str
) -> None:
    refuse(store(tmp_path / "home", domain, **changes), code)


def test_another_partys_key_is_found_here(home: Path, tmp_path: Path, domain: Any) -> None:
    other = store(tmp_path / "other", domain)
    os.replace(other / "identity" / "key.pem", home / "identity" / "key.pem")  # noqa: PTH105
    refuse(home, "key_mismatch")


def test_dates_are_checked_again_while_running(home: Path, clock: Callable[[], float]) -> None:
    credentials = Credentials.load(home, clock=clock)
    credentials.check_dates(NOW)
    with pytest.raises(IdentityInvalid) as caught:
        credentials.check_dates(NOW + 366 * 86_400)
    assert caught.value.code == "certificate_expired"


def test_passphrase(tmp_path: Path, domain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    home = store(tmp_path / "home", domain, passphrase="right")
    refuse(home, "passphrase_needed")
    refuse(home, "passphrase_wrong", passphrase="wrong")
    assert Credentials.load(home, "right", clock=lambda: NOW)
    monkeypatch.setenv("KAPOK_PASSPHRASE", "right")
    assert Credentials.load(home, clock=lambda: NOW)
    refuse(home, "passphrase_wrong", passphrase="wrong")


def test_a_passphrase_for_a_key_without_one_does_no_harm(home: Path) -> None:
    assert Credentials.load(home, "unneeded", clock=lambda: NOW)


def test_only_p256_keys() -> None:
    wide = ec.generate_private_key(ec.SECP384R1())
    with pytest.raises(IdentityInvalid) as caught:
        decode_key(encode_key(wide, None), None, Path("key.pem"))
    assert caught.value.code == "bad_key"


def test_new_files_are_whole_narrow_and_never_replace(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    write_new_file(path, b"first")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(InvalidInput) as caught:
        write_new_file(path, b"second")
    assert caught.value.code == "file_exists"
    assert read_private_file(path) == b"first"
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret"]
    with pytest.raises(InvalidInput) as caught:
        write_new_file(tmp_path / "none" / "secret", b"x")
    assert caught.value.code == "bad_file"


def test_a_folder_that_cannot_be_made_or_looked_at_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for take, folder in (
        (make_private_folder, tmp_path / "file"),
        (make_private_folder, tmp_path / "file" / "below"),
        (refuse_open_folder, tmp_path / "none"),
    ):
        with pytest.raises(InvalidInput) as caught:
            take(folder)
        assert caught.value.code == "bad_folder"
        assert "--home" in (caught.value.remedy or "")


@pytest.mark.parametrize(("name", "code"), [("key.pem", "bad_key"), ("root.pem", "bad_certificate")])
def test_what_cannot_be_read_is_told(home: Path, name: str, code: str) -> None:
    path = home / "identity" / name
    path.unlink()
    path.mkdir(mode=0o700)
    assert f"{path} cannot be read" in refuse(home, code).message


def test_a_replaced_file_is_whole_and_narrow(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"wide")
    path.chmod(0o644)
    replace_file(path, b"narrow")
    assert read_private_file(path) == b"narrow"
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret"]
    with pytest.raises(InvalidInput) as caught:
        replace_file(tmp_path / "none" / "secret", b"x")
    assert caught.value.code == "bad_file"


def test_a_secret_is_made_once(tmp_path: Path) -> None:
    made = [read_or_make_private_file(tmp_path / "key", lambda: secrets.token_bytes(32)) for _ in range(2)]
    assert made[0] == made[1]
    (tmp_path / "key").chmod(0o640)
    with pytest.raises(IdentityInvalid) as caught:
        read_or_make_private_file(tmp_path / "key", bytes)
    assert caught.value.code == "key_file_too_open"
