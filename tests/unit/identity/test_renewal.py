"""Credentials that change on disk while a daemon runs."""

import asyncio
import logging
import time

import pytest

from kapok.identity import renewal
from kapok.identity.certificates import TrustRoot
from kapok.identity.credentials import Credentials
from kapok.identity.issuing import issue, new_root
from kapok.identity.keyfiles import generate_key
from kapok.identity.names import PartyName
from kapok.identity.renewal import Current

NAME = "spiffe://kapok.test/org/clinic/node/main"


class Home:
    """A party's folder, and an authority that renews what is in it."""

    def __init__(self, folder):
        self.folder, self.key, self.root_key = folder, generate_key(), generate_key()
        self.root = TrustRoot(new_root(self.root_key, "kapok.test", time.time()))
        (folder / "identity").mkdir(parents=True, mode=0o700)
        self.write("root.pem", self.root.pem)
        self.renew()
        self.current = Current(folder, Credentials.load(folder))

    def write(self, name, content):
        new = self.folder / "identity" / f"{name}.new"
        new.write_bytes(content)
        new.chmod(0o600)
        new.replace(self.folder / "identity" / name)

    def renew(self, name=NAME, key=None):
        key = key or self.key
        made = issue(
            self.root_key, self.root.certificate, key.public_key(), PartyName.parse(name), now=time.time()
        )
        self.credentials = Credentials(key, made, self.root, time.time())
        self.write("key.pem", self.credentials.key_pem())
        self.write("certificate.pem", self.credentials.certificate_pem)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setattr(renewal, "_LOOK_S", 0.01)
    return Home(tmp_path / "home")


async def until(ask):
    async with asyncio.timeout(20):
        while not ask():
            await asyncio.sleep(0.01)


async def test_new_files_are_taken_over_and_told(home):
    told, first = [], home.current.now.fingerprint
    home.current.tell(lambda: told.append(home.current.now.fingerprint))
    async with home.current.kept_up():
        home.renew()
        await until(lambda: told)
        home.renew(key=generate_key())
        await until(lambda: home.current.now.fingerprint == home.credentials.fingerprint)
    assert first not in told
    assert told[-1] == home.credentials.fingerprint


async def test_what_cannot_be_used_is_said_once_and_the_old_goes_on(home, caplog):
    first = home.current.now
    (home.folder / "identity" / "certificate.pem").unlink()
    with caplog.at_level(logging.ERROR):
        async with home.current.kept_up():
            await asyncio.sleep(0.05)
            assert caplog.records == []  # a renewal moves the certificate away first
            home.write("certificate.pem", b"nonsense")
            await until(lambda: caplog.records)
            home.renew("spiffe://kapok.test/org/clinic/node/other")
            await until(lambda: "other_identity" in [one.code for one in caplog.records])
            await asyncio.sleep(0.05)
            assert home.current.now is first
            said = len(caplog.records)
            home.renew()
            await until(lambda: home.current.now is not first)
    assert said <= 4
