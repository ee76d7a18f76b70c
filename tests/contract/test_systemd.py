"""The units run commands that there are, as users of their own, and may write to their state alone."""

import configparser
from pathlib import Path

import pytest
import typer

from kapok.cli.app import app

UNITS = sorted((Path(__file__).parents[2] / "docs" / "systemd").glob("*.service"))


def test_the_drop_in_for_apps_takes_back_what_the_unit_forbids_to_a_sandbox_and_no_more():
    folder = Path(__file__).parents[2] / "docs" / "systemd"
    service = (folder / "kapok-node.service").read_text().splitlines()
    dropped = (folder / "kapok-node.service.d" / "apps.conf").read_text().splitlines()
    keys = {line.partition("=")[0] for line in service}
    changed = {line.partition("=")[0] for line in dropped if "=" in line and not line.startswith("#")}
    assert changed - keys == {"MemoryMax", "TasksMax", "OOMPolicy"}
    assert "RestrictNamespaces=no" in dropped
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
