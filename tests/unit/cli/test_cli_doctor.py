"""`kapok doctor`: each role's folder, well and unwell, beside daemons that run or do not."""

import asyncio
import json
import os
import resource
import shutil
import socket
import sys
import time
from contextlib import asynccontextmanager
from functools import partial
from types import SimpleNamespace

import pytest
from cryptography import x509
from support.daemons import Daemon, Network, furnish, logging_restored  # noqa: F401 - a fixture
from support.hospitals import dataset, make_realm  # noqa: F401 - fixtures

from kapok.authority import app as authority
from kapok.cli import examination
from kapok.cli.app import run
from kapok.cli.examination import Examination, examine
from kapok.errors import NotFound
from kapok.identity.expiry import expires
from kapok.identity.issuing import revocation_list
from kapok.identity.keyfiles import make_private_folder
from kapok.identity.names import Role
from kapok.nodes.journal import Journal
from kapok.wire import version
from kapok.wire.server import serve_enrolment


@pytest.fixture
def opened(tmp_path, dataset, make_realm, logging_restored):  # noqa: F811 - pytest's way
    """A broker that listens where its settings say, and a node's and an analyst's folder."""

    @asynccontextmanager
    async def network():
        net = Network(tmp_path, make_realm(time.time()), dataset)
        await net.open()
        try:
            (net.broker.home / "broker.toml").write_text(f'listen = "{net.broker.address}"\n')
            analyst = furnish(tmp_path / "analyst", net.analyst)
            (analyst / "analyst.toml").write_text(f'broker = "{net.broker.address}"\n')
            homes = SimpleNamespace(broker=net.broker.home, node=net.furnish("a").home, analyst=analyst)
            yield net, homes
        finally:
            await net.close()

    return network


async def look(home, **changes):
    return await asyncio.to_thread(partial(examine, home, **changes))


def graded(found, grade):
    return [one.subject for one in found.findings if one.grade == grade]


async def test_every_folder_of_a_network_that_is_well_is_well(opened):
    async with opened() as (_, homes):
        for role, subjects in {
            "broker": {"settings", "store"},
            "node": {"settings", "dataset", "check"},
            "analyst": {"settings"},
        }.items():
            found = await look(getattr(homes, role))
            assert (found.role, found.exit_status, graded(found, "problem")) == (role, 0, [])
            running = {"daemon"} if role == "broker" else set()
            well = {"identity", "disk", "broker", "clock", "version", *running, *subjects}
            assert well == set(graded(found, "ok"))
            assert graded(found, "warning")[:1] == (["daemon"] if role == "node" else [])
            (release,) = [one.text for one in found.findings if one.subject == "version"]
            assert version.release() in release
        assert not (homes.node / "state" / "journal.db").exists()
        (homes.node / "state").mkdir(mode=0o700, exist_ok=True)
        Journal.open(homes.node / "state" / "journal.db", homes.node / "instance", clock=time.time).close()
        ran_before = await look(homes.node)
        assert (graded(ran_before, "problem"), ran_before.exit_status) == (["daemon"], 6)


NEVER = {"adbc_driver_postgresql", "flwr", "formulaic", "matplotlib", "opentelemetry", "pandas", "scipy"}
STORE = {"alembic", "prometheus_client", "sqlalchemy"}
BARE = """
import sys
class Absent:
    def find_spec(name, path, target=None):
        if name.partition(".")[0] in sys.argv[2].split():
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent)
from kapok.cli.app import run
sys.exit(run(["doctor", "--json", "--home", sys.argv[1]]))
"""


async def test_each_role_is_looked_at_with_no_more_libraries_than_are_installed_for_it(opened):
    absent = {
        "broker": {"duckdb"},
        "node": {"grpc_reflection", "pg8000"},
        "analyst": {"duckdb", "grpc_reflection", "pg8000"} | STORE,
    }
    async with opened() as (_, homes):
        for role, names in absent.items():
            command = (sys.executable, "-c", BARE, str(getattr(homes, role)), " ".join(names | NEVER))
            pipe = asyncio.subprocess.PIPE
            process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
            out, err = await process.communicate()
            assert process.returncode == 0, (role, out, err)
            assert (json.loads(out)["role"], json.loads(out)["ok"]) == (role, True)


async def test_what_cannot_be_reached_is_6_and_what_is_to_be_mended_here_is_3(opened):
    async with opened() as (net, homes):
        await net.broker.stop()
        found = await look(homes.analyst)
        assert (graded(found, "problem"), found.exit_status) == (["broker"], 6)
        (homes.analyst / "identity" / "key.pem").chmod(0o644)
        found = await look(homes.analyst)
        assert (graded(found, "problem"), found.exit_status) == (["identity", "broker"], 3)
        assert "chmod 600" in found.findings[0].remedy
        (homes.node / "policy.toml").write_text("[[rule]]\n")
        found = await look(homes.node)
        assert (graded(found, "problem"), found.exit_status) == (["broker", "check"], 3)
        (homes.broker / "broker.db").write_bytes(b"no database" * 99)
        assert graded(await look(homes.broker), "problem") == ["daemon", "store"]
        (homes.broker / "broker.toml").write_text("listn = 1\n")
        assert graded(await look(homes.broker), "problem") == ["settings"]
        await net.broker.stop()


@pytest.mark.parametrize(("apart", "grade"), [(0, "ok"), (90, "warning"), (-90, "warning"), (400, "problem")])
async def test_clocks_that_are_apart(opened, apart, grade):
    async with opened() as (_, homes):
        found = await look(homes.analyst, clock=lambda: time.time() + apart)
        assert [(one.subject, one.grade) for one in found.findings if one.subject == "clock"] == [
            ("clock", grade)
        ]
        assert found.exit_status == (3 if grade == "problem" else 0)


@pytest.mark.parametrize(("mib", "grade"), [(10, "problem"), (500, "warning")])
async def test_a_disk_that_is_nearly_full(opened, monkeypatch, mib, grade):
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=mib * 2**20))
    async with opened() as (_, homes):
        assert graded(await look(homes.broker), grade) == ["disk"]


async def test_a_folder_that_others_may_enter(opened):
    async with opened() as (_, homes):
        homes.broker.chmod(0o755)
        (said,) = [one for one in (await look(homes.broker)).findings if one.grade == "warning"]
        assert (said.subject, said.remedy) == ("folder", f"chmod 700 {homes.broker}")
        assert "mode 0755" in said.text


@pytest.mark.skipif(os.geteuid() != 0, reason="files of another user's are made by root alone")
async def test_what_a_command_that_was_given_as_root_has_left_is_found(opened):
    async with opened() as (_, homes):
        for path in (homes.broker, *homes.broker.rglob("*")):
            os.chown(path, 65_534, -1)
        assert "owner" not in {one.subject for one in (await look(homes.broker)).findings}
        store = homes.broker / "broker.db"
        os.chown(store, 0, -1)
        (found,) = [one for one in (await look(homes.broker)).findings if one.subject == "owner"]
        assert (found.grade, str(store) in found.text) == ("problem", True)
        assert found.remedy.startswith("chown -R ")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
async def test_a_store_that_may_not_be_read_is_said_so(opened):
    async with opened() as (_, homes):
        (homes.broker / "broker.db").chmod(0)
        (found,) = [one for one in (await look(homes.broker)).findings if one.subject == "store"]
        assert "Permission denied [bad_database]" in found.text


@pytest.mark.parametrize("key", ["tag.key", "version.key"])
async def test_a_key_beside_a_nodes_journal_that_others_may_read(opened, key):
    async with opened() as (net, homes):
        await net.nodes["a"].start()
        await net.joined(1)
        await net.nodes["a"].stop()
        (homes.node / "state" / key).chmod(0o644)
        found = await look(homes.node)
        (text,) = [one.text for one in found.findings if (one.subject, one.grade) == ("check", "problem")]
        assert f"{key} has mode 0644" in text
        assert "[key_file_too_open]: chmod 600" in text


async def test_of_several_brokers_one_is_enough(opened):
    async with opened() as (net, homes):
        places = f'["127.0.0.1:1", "{net.broker.address}"]'
        (homes.analyst / "analyst.toml").write_text(f"broker = {places}\n")
        found = await look(homes.analyst)
        assert (graded(found, "problem"), graded(found, "warning"), found.exit_status) == ([], ["broker"], 0)
        assert "nobody answers at 127.0.0.1:1" in next(
            one.text for one in found.findings if one.grade == "warning"
        )
        await net.broker.stop()
        found = await look(homes.analyst)
        assert (graded(found, "problem"), found.exit_status) == (["broker", "broker"], 6)


async def test_metrics_that_others_can_reach(opened):
    async with opened() as (_, homes):
        with (homes.broker / "broker.toml").open("a") as file:
            file.write('metrics = "0.0.0.0:9464"\n')
        assert graded(await look(homes.broker), "warning") == ["metrics"]


def test_how_many_parties_may_be_connected_is_said_where_it_is_few(monkeypatch, tmp_path):
    for most, grades in ((1024, ["files"]), (4096, []), (resource.RLIM_INFINITY, [])):
        monkeypatch.setattr("kapok.cli.examination.resource.getrlimit", lambda _what, most=most: (512, most))
        found = Examination(tmp_path, "broker")
        examination._files(found)
        assert graded(found, "warning") == grades
        assert ["LimitNOFILE" in one.remedy for one in found.findings] == [True] * len(grades)


async def test_who_is_revoked_is_said_be_it_the_broker_or_oneself(opened):
    async with opened() as (net, homes):
        realm, now = net.realm, time.time()
        exchange = realm.credentials("exchange", Role.BROKER, "main", hosts=(net.host,))
        folders = {"node": homes.node / "state", "analyst": homes.analyst / "known"}
        own = {"node": net.credentials("a"), "analyst": net.analyst}
        for role, folder in folders.items():
            make_private_folder(folder)
            file = folder / "revoked.crl"
            for who, subject in ((exchange, "broker"), (own[role], "revocations")):
                serials = {who.certificate.serial_number: now}
                file.write_bytes(
                    revocation_list(realm._key, realm._root, serials, number=1, now=now, days=30)
                )
                found = await look(getattr(homes, role))
                # Of a node whose broker cannot be used, what the broker would have shown is missing too.
                said = next(one for one in found.findings if one.grade == "problem")
                assert (said.subject, found.exit_status) == (subject, 3)
                assert "has been revoked [certificate_revoked]" in said.text
                assert "new token" in said.remedy


async def test_a_certificate_that_ends_soon_is_said_once_for_each_role(opened):
    async with opened() as (net, homes):
        soon = expires(net.credentials("a")) - 3.5 * 86_400
        for home in (homes.broker, homes.node, homes.analyst):
            found = await look(home, clock=lambda: soon)
            (warned,) = [one for one in found.findings if "ends in 3 days" in one.text]
            assert warned.grade == "warning"
            assert "kapok enroll" in f"{warned.text} {warned.remedy}"


async def test_an_authority_is_looked_at_too(tmp_path, logging_restored):  # noqa: F811
    home = tmp_path / "authority"
    authority.init(home, "hearts.example", listen="127.0.0.1:0")
    stopped = await look(home)
    assert (graded(stopped, "problem"), stopped.exit_status) == (["settings"], 3)
    daemon = await Daemon(authority.run, home).start()
    found = await look(home)
    assert (found.role, graded(found, "problem")) == ("authority", [])
    well = {"identity", "disk", "root", "register", "settings", "daemon", "service"}
    assert set(graded(found, "ok")) == well
    await daemon.stop()
    stopped = await look(home)
    assert (graded(stopped, "problem"), stopped.exit_status) == (["daemon"], 6)
    (home / "root" / "key.pem").chmod(0o640)
    assert graded(await look(home), "problem") == ["root", "daemon"]


async def test_an_authority_whose_certificate_ends_is_started_again(tmp_path, logging_restored):  # noqa: F811
    home = tmp_path / "authority"
    authority.init(home, "hearts.example", listen="127.0.0.1:7440")
    own = x509.load_pem_x509_certificate((home / "identity" / "certificate.pem").read_bytes())
    ends = own.not_valid_after_utc.timestamp()
    for now, grade in ((ends - 86_400, "warning"), (ends + 1, "problem")):
        found = await look(home, clock=lambda now=now: now)
        (said,) = [one for one in found.findings if (one.subject, one.grade) == ("identity", grade)]
        assert "renews its own" in said.remedy
        assert "token" not in said.remedy


async def test_an_authority_is_no_broker(opened):
    async with opened() as (net, homes):
        own = net.realm.credentials("authority", Role.AUTHORITY, "authority", hosts=(net.host,))
        server = await serve_enrolment(own.key_pem(), own.certificate_pem, f"{net.host}:0", None)
        (homes.analyst / "analyst.toml").write_text(f'broker = "{server.address}"\n')
        found = await look(homes.analyst)
        assert (graded(found, "problem"), found.exit_status) == (["broker"], 3)
        assert "[not_a_broker]" in found.findings[-1].text
        await server.stop(0)


async def test_what_a_daemon_would_be_refused_at_its_start_is_found_before(opened, monkeypatch):
    async with opened() as (net, homes):
        taken = net.broker.address
        await net.broker.stop()
        with socket.create_server(("127.0.0.1", int(taken.rpartition(":")[2]))):
            found = await look(homes.broker)
            assert graded(found, "problem") == ["daemon", "broker"]
            assert "in use by another process [port_in_use]" in found.findings[-1].text
            settings = (homes.node / "node.toml").read_text()
            also = f'metrics = "{taken}"\ntraces = "http://127.0.0.1:4317"\n'
            (homes.node / "node.toml").write_text(also + settings)
            monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.grpc.trace_exporter", None)
            said = {one.subject: one for one in (await look(homes.node)).findings if one.grade == "problem"}
            assert "port_in_use" in said["metrics"].text
            assert "kapok[telemetry]" in said["traces"].remedy


@pytest.mark.parametrize(
    ("seconds", "said"), [(12.34, "12.3 s"), (600, "10.0 min"), (29_376_000, "340.0 days"), (11_000, "3.1 h")]
)
def test_how_far_clocks_are_apart_is_said_so_that_it_can_be_grasped(seconds, said):
    assert examination._duration(seconds) == said


def test_nobodys_folder_is_said(tmp_path):
    with pytest.raises(NotFound, match=r"it has none of authority\.toml, broker\.toml") as caught:
        examine(tmp_path)
    assert caught.value.code == "no_home"


@pytest.mark.parametrize(("status", "exit_status"), [(None, 0), (6, 6), (3, 3)])
def test_on_the_terminal_and_as_a_document(monkeypatch, capsys, tmp_path, status, exit_status):
    found = Examination(tmp_path, "node")
    found.ok("disk", "there is room")
    found.warn(
        "check",
        "a warning\x1b[2J",
        "mind `kapok enroll TOKEN` and `kapok node check`, not `kapok broker run`",
    )
    if status:
        found.problem("daemon", "it does not run", "start it", 6)
        found.problem("broker", "nobody answers", "start it", status)
    monkeypatch.setattr("kapok.cli.examination.examine", lambda _home: found)
    assert run(["doctor", "--home", str(tmp_path)]) == exit_status
    out, err = capsys.readouterr()
    assert "ok       disk       there is room" in out
    own = f"--home {tmp_path}`"
    assert f"mind `kapok enroll TOKEN {own} and `kapok node check {own}, not `kapok broker run`" in out
    assert "\x1b" not in out
    assert ("doctor_failed" in err) is bool(status)
    # What is to be mended here comes first: the daemon runs no longer because of it.
    assert ("broker: nobody answers" in err, "daemon: it" in err) == (status == 3, status == 6)
    assert run(["doctor", "--json", "--home", str(tmp_path)]) == exit_status
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert (document["ok"], document["role"], err) == (not status, "node", "")
    assert document["findings"][0] == {
        "subject": "disk",
        "grade": "ok",
        "text": "there is room",
        "remedy": None,
    }
