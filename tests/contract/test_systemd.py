"""The units run commands that there are, as users of their own, and may write to their state alone."""

import configparser
import shutil
import subprocess
from pathlib import Path

import click
import pytest
import typer

from kapok.cli.app import app
from kapok.errors import IdentityInvalid, InvalidInput, NotFound
from kapok.nodes.apps.sandbox import _namespaces

UNITS = sorted((Path(__file__).parents[2] / "docs" / "systemd").glob("*.service"))


def test_the_drop_in_for_apps_takes_back_what_the_unit_forbids_to_a_sandbox_and_no_more():
    folder = Path(__file__).parents[2] / "docs" / "systemd"
    service = (folder / "kapok-node.service").read_text().splitlines()
    dropped = (folder / "kapok-node.service.d" / "apps.conf").read_text().splitlines()
    keys = {line.partition("=")[0] for line in service}
    changed = {line.partition("=")[0] for line in dropped if "=" in line and not line.startswith("#")}
    assert changed - keys == {"MemoryMax", "TasksMax", "OOMPolicy"}
    assert "RestrictNamespaces=no" in dropped
    # What bubblewrap does with the options that apps are shut in with: --hostname, and --unshare-net.
    assert {"--hostname", "--unshare-net"} <= set(_namespaces(as_root=False))
    assert "SystemCallFilter=@system-service @mount sethostname" in dropped
    assert "RestrictAddressFamilies=AF_NETLINK" in dropped
    assert not changed & {"NoNewPrivileges", "CapabilityBoundingSet", "User", "ProtectSystem", "ProtectHome"}


def test_there_is_a_unit_for_each_daemon():
    assert [unit.stem for unit in UNITS] == ["kapok-authority", "kapok-broker", "kapok-node"]


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_a_unit_runs_its_daemon_and_lets_it_do_nothing_else(path):
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str
    unit.read_string(path.read_text())
    service, role = unit["Service"], path.stem.removeprefix("kapok-")
    program, *words = service["ExecStart"].split()
    assert program.endswith("/kapok")
    command = typer.main.get_command(app)
    for word in words:
        command = command.commands[word]
    assert words == [role, "run"]
    assert service["User"] == f"kapok-{role}"
    home = service["Environment"].removeprefix("KAPOK_HOME=")
    assert home.removeprefix("/var/lib/") in service["StateDirectory"].split()
    # What only a person can mend is not tried again every few seconds, all night.
    by_people = {InvalidInput, NotFound, IdentityInvalid}
    never = {str(click.UsageError.exit_code), *(str(kind.exit_status) for kind in by_people)}
    assert set(service["RestartPreventExitStatus"].split()) == never
    # Only a node knows the signal HUP: it would end the others.
    assert ("ExecReload" in service) == (role == "node")
    wanted = {
        "NoNewPrivileges": "yes",
        "ProtectSystem": "strict",
        "ProtectHome": "yes",
        "CapabilityBoundingSet": "",
        "StateDirectoryMode": "0700",
        "UMask": "0077",
    }
    assert {key: service[key] for key in wanted} == wanted


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """The units with a program that is here, and the node's again with the drop-in beside it."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed here")
    plain, with_apps = tmp_path_factory.mktemp("plain"), tmp_path_factory.mktemp("apps")
    for folder in (plain, with_apps):
        for unit in UNITS:
            (folder / unit.name).write_text(unit.read_text().replace("/opt/kapok/bin/kapok", "/bin/true"))
    shutil.copytree(UNITS[0].parent / "kapok-node.service.d", with_apps / "kapok-node.service.d")
    return [*plain.glob("*.service"), with_apps / "kapok-node.service"]


def test_systemd_reads_the_units_and_finds_them_hardened(copied):
    for unit in copied:
        verify = ["systemd-analyze", "--man=no", "verify", str(unit)]
        done = subprocess.run(verify, capture_output=True, text=True)
        # Of the machine's own units it may say something, too.
        assert f"{unit.name}:" not in done.stderr, done.stderr
        # A tenth of the exposure, from 0 to 10, that systemd counts.
        most = "40" if "apps" in str(unit.parent) else "20"
        rate = [
            "systemd-analyze",
            "--no-pager",
            "security",
            "--offline=yes",
            f"--threshold={most}",
            str(unit),
        ]
        rated = subprocess.run(rate, capture_output=True, text=True)
        assert rated.returncode == 0, rated.stdout[-500:] + rated.stderr
