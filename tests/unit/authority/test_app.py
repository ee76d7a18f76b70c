import asyncio
import contextlib
import importlib.resources
import logging
import os
import re
import socket
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from kapok.authority import app
from kapok.client.enrolment import enrol, enrol_async
from kapok.errors import IdentityInvalid, InvalidInput, KapokError, NotFound, Unavailable
from kapok.identity.certificates import TrustRoot
from kapok.identity.credentials import Credentials
from kapok.identity.issuing import certificate_request, issue, new_root
from kapok.identity.keyfiles import encode_key, generate_key, make_private_folder, write_new_file
from kapok.identity.names import PartyName, Role
from kapok.identity.tokens import EnrolmentToken
from kapok.wire.channel import enrol_call

DAY = 86_400.0


@pytest.fixture(autouse=True)
def _no_passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KAPOK_PASSPHRASE", raising=False)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "authority"
    app.init(folder, "kapok.test", listen="127.0.0.1:0", broker_address="127.0.0.1:9")
    return folder


@contextlib.asynccontextmanager
async def running(home: Path, **options: object) -> AsyncIterator[str]:
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    task = asyncio.create_task(app.run(home, ready=listening.set_result, stop=stop, **options))  # type: ignore[arg-type]
    await asyncio.wait({task, listening}, return_when=asyncio.FIRST_COMPLETED)
    try:
        if task.done():
            task.result()
        yield listening.result()
    finally:
        stop.set()
        await asyncio.wait({task})


def modes(folder: Path) -> dict[str, int]:
    return {
        str(path.relative_to(folder)): stat.S_IMODE(path.stat().st_mode)
        for path in folder.rglob("*")
        if path.suffix == ".pem" or path.is_dir() or path.suffix == ".db"
    }


def test_init_makes_narrow_files_and_a_documented_setting_for_each_value(home: Path) -> None:
    assert modes(home) == {
        "authority.db": 0o600,
        "identity": 0o700,
        "identity/certificate.pem": 0o644,
        "identity/key.pem": 0o600,
        "identity/root.pem": 0o644,
        "root": 0o700,
        "root/certificate.pem": 0o644,
        "root/key.pem": 0o600,
    }
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    credentials = Credentials.load(home)
    assert credentials.name == PartyName("kapok.test", "authority", Role.AUTHORITY, "authority")
    text = (home / "authority.toml").read_text()
    assert "@" not in text
    for field in app.AuthoritySettings.__struct_fields__:
        assert f"\n{field} = " in text
    assert importlib.resources.files("kapok.authority").joinpath("authority.toml").is_file()


def test_nothing_is_overwritten(home: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in home.rglob("*.pem")}
    with pytest.raises(InvalidInput) as caught:
        app.init(home, "kapok.test")
    assert caught.value.code == "already_initialised"
    (home / "authority.toml").unlink()
    with pytest.raises(InvalidInput, match="not finished"):
        app.init(home, "kapok.test")
    for settings in ("node.toml", "broker.toml", "analyst.toml"):
        (home / settings).write_text("")
        with pytest.raises(InvalidInput, match="another party's folder") as caught:
            app.init(home, "kapok.test")
        assert "remove" not in (caught.value.remedy or "")
        (home / settings).unlink()
    assert before == {path: path.read_bytes() for path in home.rglob("*.pem")}


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"trust_domain": "Not A Domain"}, "bad_party_name"),
        ({"listen": "nonsense"}, "bad_address"),
        ({"listen": "0.0.0.0:7440"}, "bad_address"),
        ({"address": "authority.example"}, "bad_address"),
        ({"hosts": ("a b",)}, "bad_host"),
        ({"broker_address": 'x"\ny = 1'}, "bad_address"),
    ],
)
def test_bad_arguments_leave_nothing_behind(tmp_path: Path, options: dict[str, str], code: str) -> None:
    domain = options.pop("trust_domain", "kapok.test")
    with pytest.raises(InvalidInput) as caught:
        app.init(tmp_path / "new", domain, **options)  # type: ignore[arg-type]
    assert caught.value.code == code
    assert not (tmp_path / "new").exists()


def test_tokens_need_an_authority_and_a_known_port(tmp_path: Path, home: Path) -> None:
    with pytest.raises(NotFound) as caught:
        app.token(tmp_path / "none", "node", "clinic", "one")
    assert caught.value.code == "no_authority"
    assert "`kapok authority init TRUST_DOMAIN`" in (caught.value.remedy or "")
    with pytest.raises(NotFound) as caught:
        app.token(home, "node", "clinic", "one")
    assert caught.value.code == "authority_not_running"
    fixed = tmp_path / "fixed"
    app.init(fixed, "kapok.test", listen="0.0.0.0:7440", address="authority.example.org:7440")
    token = EnrolmentToken.parse(app.token(fixed, "node", "clinic", "one", broker_address="[::1]:7443"))
    assert (token.address, token.broker_address) == ("authority.example.org:7440", "[::1]:7443")
    for role, options, code in (
        ("chief", {}, "bad_role"),
        ("authority", {}, "bad_role"),
        ("node", {"hosts": ("a.example",)}, "bad_host"),
        ("broker", {"hosts": ("a b",)}, "bad_host"),
        ("broker", {"broker_address": "nonsense"}, "bad_address"),
        ("node", {"lifetime_s": 0}, "bad_settings"),
        ("node", {"lifetime_s": float("nan")}, "bad_settings"),
    ):
        with pytest.raises(InvalidInput) as refused:
            app.token(fixed, role, "clinic", "one", **options)  # type: ignore[arg-type]
        assert refused.value.code == code
    with pytest.raises(InvalidInput):
        app.token(fixed, "node", "cli/nic", "one")


def test_the_register_never_holds_a_secret(tmp_path: Path) -> None:
    app.init(tmp_path / "a", "kapok.test")
    secret = EnrolmentToken.parse(app.token(tmp_path / "a", "node", "clinic", "one")).secret
    stored = b"".join(path.read_bytes() for path in (tmp_path / "a").iterdir() if path.is_file())
    assert b"spiffe://kapok.test/org/clinic/node/one" in stored
    assert secret not in stored


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.AUTHORITY])
async def test_every_role_enrols_and_gets_its_settings(home: Path, tmp_path: Path, role: Role) -> None:
    async with running(home) as address:
        text = app.token(home, role, "clinic", "one")
        assert EnrolmentToken.parse(text).address == address
        party = tmp_path / "party" / "deep"
        name = await enrol_async(text, party)
    assert name == PartyName("kapok.test", "clinic", role, "one")
    credentials = Credentials.load(party)
    assert credentials.name == name
    assert {path for path, mode in modes(party).items() if mode == 0o600} == {"identity/key.pem"}
    settings = sorted(path.name for path in party.glob("*.toml"))
    wanted = {Role.NODE: ["node.toml", "policy.toml"], Role.BROKER: ["broker.toml"]}
    assert settings == wanted.get(role, ["analyst.toml"])
    text = "".join((party / name).read_text() for name in settings)
    assert "@BROKER_ADDRESS@" not in text
    if role is not Role.BROKER:
        assert '"127.0.0.1:9"' in text


async def test_a_brokers_certificate_carries_its_hosts(home: Path, tmp_path: Path) -> None:
    async with running(home):
        plain = app.token(home, "broker", "exchange", "one", broker_address="broker.example.org:7443")
        await enrol_async(plain, tmp_path / "one")
        named = app.token(home, "broker", "exchange", "two", hosts=("10.0.0.7",))
        await enrol_async(named, tmp_path / "two")
    found = []
    for folder in ("one", "two"):
        certificate = Credentials.load(tmp_path / folder).certificate
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        found.append(
            (
                names.get_values_for_type(x509.DNSName),
                [str(host) for host in names.get_values_for_type(x509.IPAddress)],
            )
        )
    assert found == [(["localhost", "broker.example.org"], ["127.0.0.1"]), ([], ["10.0.0.7", "127.0.0.1"])]


async def test_a_spent_token_enrols_nobody_else(
    home: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with running(home):
        text = app.token(home, "node", "clinic", "one")
        await enrol_async(text, tmp_path / "one")
        with pytest.raises(InvalidInput) as twice:
            await enrol_async(text, tmp_path / "one")
        assert twice.value.code == "already_enrolled"
        with pytest.raises(IdentityInvalid) as spent:
            await enrol_async(text, tmp_path / "thief")
        assert spent.value.code == "token_spent"
        assert not (tmp_path / "thief").exists()
    assert "token_spent" in str([vars(record) for record in caplog.records])


async def test_a_refused_token_leaves_what_was_there_and_nothing_else(home: Path, tmp_path: Path) -> None:
    party = tmp_path / "party"
    make_private_folder(party / "identity")
    write_new_file(party / "identity" / "key.pem", encode_key(generate_key(), None))
    (tmp_path / "empty").mkdir(mode=0o700)
    key = (party / "identity" / "key.pem").read_bytes()
    async with running(home):
        text = app.token(home, "node", "clinic", "one")
        await enrol_async(text, tmp_path / "one")
        for folder in (party, tmp_path / "empty", tmp_path / "deep" / "party"):
            with pytest.raises(IdentityInvalid):
                await enrol_async(text, folder)
    assert (party / "identity" / "key.pem").read_bytes() == key
    assert list((tmp_path / "empty").iterdir()) == []
    assert not (tmp_path / "deep").exists()


async def test_a_key_waits_for_an_authority_that_did_not_answer(home: Path, tmp_path: Path) -> None:
    async with running(home) as address:
        text = app.token(home, "node", "clinic", "one")
    with pytest.raises(Unavailable):
        await enrol_async(text, tmp_path / "one")
    key = (tmp_path / "one" / "identity" / "key.pem").read_bytes()
    settings = home / "authority.toml"
    settings.write_text(re.sub(r"(?m)^listen = .*$", f'listen = "{address}"', settings.read_text()))
    async with running(home):
        await enrol_async(text, tmp_path / "one")
    assert (tmp_path / "one" / "identity" / "key.pem").read_bytes() == key


async def test_a_lost_answer_is_asked_for_again(home: Path, tmp_path: Path) -> None:
    async with running(home):
        text = app.token(home, "node", "clinic", "one")
        first = await enrol_async(text, tmp_path / "one")
        kept = (tmp_path / "one" / "identity" / "certificate.pem").read_bytes()
        (tmp_path / "one" / "node.toml").write_text("# mine\n")
        (tmp_path / "one" / "identity" / "certificate.pem").unlink()  # as if the answer had not come
        assert await enrol_async(text, tmp_path / "one") == first
        assert (tmp_path / "one" / "identity" / "certificate.pem").read_bytes() == kept
        assert (tmp_path / "one" / "node.toml").read_text() == "# mine\n"


async def test_enrolling_again_needs_a_new_token_and_is_logged(
    home: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(home):
        await enrol_async(app.token(home, "node", "clinic", "one"), tmp_path / "one")
        key = Credentials.load(tmp_path / "one").key_fingerprint
        (tmp_path / "one" / "identity" / "certificate.pem").unlink()
        notices: list[str] = []
        app.token(home, "node", "clinic", "two", notice=notices.append)
        assert notices == []
        again = app.token(home, "node", "clinic", "one", notice=notices.append)
        assert "spiffe://kapok.test/org/clinic/node/one is enrolled already" in notices[0]
        with caplog.at_level(logging.WARNING):
            await enrol_async(again, tmp_path / "one")
    assert Credentials.load(tmp_path / "one").key_fingerprint == key
    (record,) = [record for record in caplog.records if "enrolled again" in record.getMessage()]
    assert vars(record)["older_certificates"] == 1


async def test_expired_altered_and_foreign_tokens(home: Path, tmp_path: Path) -> None:
    now = [1_800_000_000.0]

    async def refuse(text: str, code: str, folder: str = "party") -> None:
        with pytest.raises(KapokError) as caught:
            await enrol_async(text, tmp_path / folder, clock=lambda: now[0])
        assert caught.value.code == code, caught.value.diagnostics()
        assert not (tmp_path / folder / "identity" / "certificate.pem").exists()

    async with running(home):
        real = EnrolmentToken.parse(app.token(home, "node", "clinic", "one", lifetime_s=1, clock=lambda: 1.0))
        await refuse(real.text, "token_expired")
        good = EnrolmentToken.parse(app.token(home, "node", "clinic", "two"))
        altered = EnrolmentToken(good.address, good.root, good.name, None, bytes(32))
        await refuse(altered.text, "token_unknown")
        other = PartyName("kapok.test", "clinic", Role.NODE, "three")
        renamed = EnrolmentToken(good.address, good.root, other, None, good.secret)
        now[0] = Credentials.load(home).certificate.not_valid_before_utc.timestamp() + 400
        await refuse(renamed.text, "bad_certificate", "renamed")
        false_root = TrustRoot(new_root(generate_key(), "kapok.test", now[0]))
        misled = EnrolmentToken(good.address, false_root, good.name, None, good.secret)
        await refuse(misled.text, "service_certificate_foreign", "misled")
        await refuse(good.text[:-30], "bad_token")


async def test_a_clock_that_is_wrong_is_found_before_anything_is_kept(home: Path, tmp_path: Path) -> None:
    async with running(home):
        text = app.token(home, "node", "clinic", "one")
        with pytest.raises(IdentityInvalid) as caught:
            await enrol_async(text, tmp_path / "one", clock=lambda: 1_000_000_000.0)
        assert caught.value.code == "certificate_not_yet_valid"
        assert "clock" in (caught.value.remedy or "")
        assert await enrol_async(text, tmp_path / "one")


async def test_the_desk_takes_only_requests_that_prove_their_key(home: Path) -> None:
    async with running(home) as address:
        token = EnrolmentToken.parse(app.token(home, "node", "clinic", "one"))
        request = bytearray(certificate_request(generate_key(), token.name))
        request[-1] ^= 1
        for bad in (bytes(request), b"", b"nonsense"):
            with pytest.raises(KapokError) as caught:
                await enrol_call(address, token.root.pem, token.secret, bad)
            assert caught.value.code == "bad_certificate_request"
        with pytest.raises(KapokError) as caught:
            await enrol_call(address, token.root.pem, b"", certificate_request(generate_key(), token.name))
        assert isinstance(caught.value, IdentityInvalid)


async def test_nobody_there(home: Path, tmp_path: Path) -> None:
    async with running(home):
        text = app.token(home, "node", "clinic", "one")
    with pytest.raises(Unavailable) as caught:
        await enrol_async(text, tmp_path / "one")
    assert caught.value.retryable
    assert (tmp_path / "one" / "identity" / "key.pem").exists()
    key = (tmp_path / "one" / "identity" / "key.pem").read_bytes()
    async with running(home):
        again = EnrolmentToken.parse(text)
        moved = EnrolmentToken(
            (home / "address").read_text(), again.root, again.name, again.broker_address, again.secret
        )
        await enrol_async(moved.text, tmp_path / "one")
    assert (tmp_path / "one" / "identity" / "key.pem").read_bytes() == key


async def test_port_in_use(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        settings = home / "authority.toml"
        port = taken.getsockname()[1]
        settings.write_text(settings.read_text().replace("127.0.0.1:0", f"127.0.0.1:{port}"))
        with pytest.raises(InvalidInput) as caught:
            async with running(home):
                pass
    assert caught.value.code == "port_in_use"


async def test_passphrases_lock_both_sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "authority"
    app.init(home, "kapok.test", listen="127.0.0.1:0", passphrase="root secret")
    assert b"ENCRYPTED" in (home / "root" / "key.pem").read_bytes()
    for given, code in ((None, "passphrase_needed"), ("wrong", "passphrase_wrong")):
        with pytest.raises(IdentityInvalid) as caught:
            async with running(home, passphrase=given):
                pass
        assert caught.value.code == code
    async with running(home, passphrase="root secret"):
        text = app.token(home, "node", "clinic", "one")
        await enrol_async(text, tmp_path / "one", passphrase="node secret")
    with pytest.raises(IdentityInvalid):
        Credentials.load(tmp_path / "one")
    assert Credentials.load(tmp_path / "one", "node secret")


async def test_its_own_certificate_is_renewed_in_time_and_for_new_hosts(home: Path) -> None:
    def serial() -> int:
        pem = (home / "identity" / "certificate.pem").read_bytes()
        return x509.load_pem_x509_certificate(pem).serial_number

    first = serial()
    async with running(home):
        pass
    assert serial() == first
    settings = home / "authority.toml"
    settings.write_text(
        settings.read_text().replace('hosts = ["localhost"', 'hosts = ["a.example.org", "localhost"')
    )
    async with running(home):
        pass
    second = serial()
    assert second != first
    ends = Credentials.load(home).certificate.not_valid_after_utc.timestamp()
    async with running(home, clock=lambda: ends + DAY):
        pass
    assert serial() != second


async def test_settings_and_root_must_agree(home: Path) -> None:
    settings = home / "authority.toml"
    text = settings.read_text()
    settings.write_text(text.replace('"kapok.test"', '"other.test"'))
    with pytest.raises(IdentityInvalid) as caught:
        async with running(home):
            pass
    assert caught.value.code == "foreign_certificate"
    settings.write_text(text)
    key = generate_key()
    pem = issue(key, new_root(key, "kapok.test", 1e9), key.public_key(), Credentials.load(home).name, now=1e9)
    (home / "root" / "certificate.pem").write_bytes(pem.public_bytes(serialization.Encoding.PEM))
    with pytest.raises(IdentityInvalid) as caught:
        async with running(home):
            pass
    assert caught.value.code == "bad_root"
    (home / "root" / "certificate.pem").write_bytes(
        new_root(key, "kapok.test", 1e9).public_bytes(serialization.Encoding.PEM)
    )
    with pytest.raises(IdentityInvalid) as caught:
        async with running(home):
            pass
    assert caught.value.code == "key_mismatch"


def test_as_processes(home: Path, tmp_path: Path) -> None:
    """The blocking call, from outside a loop, against an authority in its own process that SIGTERM ends."""
    script = (
        "import asyncio, sys; from kapok.authority import app;"
        "asyncio.run(app.run(sys.argv[1], ready=lambda address: print(address, flush=True)))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(home)], stdout=subprocess.PIPE, env=os.environ, text=True
    )
    assert process.stdout is not None
    with process, process.stdout:
        try:
            address = process.stdout.readline().strip()
            text = app.token(home, "analyst", "university", "ada")
            assert EnrolmentToken.parse(text).address == address
            assert str(enrol(text, tmp_path / "ada")) == "spiffe://kapok.test/org/university/analyst/ada"
        finally:
            process.terminate()
        assert process.wait(20) == 0
    database = sqlite3.connect(home / "authority.db")
    assert database.execute("SELECT count(*) FROM tokens WHERE spent_at IS NOT NULL").fetchone() == (1,)
    database.close()


async def test_the_blocking_call_works_inside_a_running_loop(home: Path, tmp_path: Path) -> None:
    """As in a notebook, whose cells run inside one."""
    async with running(home):
        text = app.token(home, "analyst", "university", "ada")
        name = await asyncio.to_thread(enrol, text, tmp_path / "ada")
        assert name.role is Role.ANALYST
    with pytest.raises(InvalidInput):
        enrol(text, tmp_path / "ada")


async def test_a_second_authority_over_the_same_folder_is_refused(home: Path) -> None:
    async with running(home):
        with pytest.raises(InvalidInput) as caught:
            await app.run(home)
    assert caught.value.code == "already_running"
