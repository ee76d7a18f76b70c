import pickle
from pathlib import Path

import msgspec
import pytest

from kapok.client.vault import _LOG2_N as WORK
from kapok.client.vault import Locked, Vault
from kapok.errors import IdentityInvalid, InvalidInput

PATH = Path("somewhere/result-key.json")
SECRET = b"a secret of the profile"


@pytest.fixture(autouse=True)
def _no_passphrase(monkeypatch):
    monkeypatch.delenv("KAPOK_PASSPHRASE", raising=False)


@pytest.fixture(scope="module")
def vault() -> Vault:
    return Vault("right")


def test_what_is_locked_opens_with_the_same_passphrase_for_the_same_purpose_alone(vault):
    locked = vault.lock(SECRET, "job a")
    content = msgspec.json.encode(locked)
    assert SECRET not in content
    assert Vault("right").unlock_file(content, "job a", PATH) == SECRET
    for other, purpose in ((vault, "job b"), (Vault("wrong"), "job a")):
        with pytest.raises(IdentityInvalid) as caught:
            other.unlock(locked, purpose, PATH)
        assert caught.value.code == "passphrase_wrong"
    with pytest.raises(IdentityInvalid) as needed:
        Vault().unlock(locked, "job a", PATH)
    assert needed.value.code == "passphrase_needed"
    assert "KAPOK_PASSPHRASE" in needed.value.remedy


def test_a_guess_at_a_passphrase_costs_128_mib(monkeypatch):
    monkeypatch.setattr("kapok.client.vault._LOG2_N", WORK)
    locked = Vault("right").lock(SECRET, "x")
    assert locked.log2_n == 17
    assert Vault("right").unlock(locked, "x", PATH) == SECRET


def test_no_two_lockings_are_alike(vault):
    one, two = vault.lock(SECRET, "x"), vault.lock(SECRET, "x")
    assert one.nonce != two.nonce
    assert one.sealed != two.sealed
    assert Vault("right").lock(SECRET, "x").salt != one.salt


def test_altered_and_foreign_forms_are_refused(vault):
    locked = vault.lock(SECRET, "x")
    flipped = bytes([locked.sealed[0] ^ 1]) + locked.sealed[1:]
    with pytest.raises(IdentityInvalid):
        vault.unlock(msgspec.structs.replace(locked, sealed=flipped), "x", PATH)
    for changes in ({"log2_n": 40}, {"log2_n": 1}, {"salt": b""}, {"nonce": b"short"}):
        with pytest.raises(InvalidInput) as caught:
            vault.unlock(msgspec.structs.replace(locked, **changes), "x", PATH)
        assert caught.value.code == "bad_vault"
    for content in (b'{"format":"kapok-vault","version":2}', b'{"format":"kapok-vault"}'):
        with pytest.raises(InvalidInput):
            vault.unlock_file(content, "x", PATH)


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"[1]", b'{"format":"other"}', b"\xff\x00"])
def test_plain_content_is_what_it_is(content):
    assert Vault().unlock_file(content, "x", PATH) == content


def test_passphrase_is_that_of_the_environment_and_is_not_shown(monkeypatch):
    monkeypatch.setenv("KAPOK_PASSPHRASE", "from outside")
    vault = Vault()
    assert vault.locks
    assert "outside" not in repr(vault)
    with pytest.raises(TypeError):
        pickle.dumps(vault)
    assert isinstance(vault.lock(SECRET, "x"), Locked)
