"""Hints can be pasted: a command in one has the folder that this command was given."""

import ast
import json
import re
from pathlib import Path

import pytest
import typer

from kapok.cli import hints
from kapok.cli.app import app, run
from kapok.cli.live import Live
from kapok.cli.terminal import when
from kapok.client.progress import Progress
from kapok.errors import InvalidInput, Unavailable

SOURCES = [Path(__file__).parents[3] / root / "kapok" for root in ("sdk", "protocols", "broker", "nodes")]
GROUPS = typer.main.get_command(app).commands
COMMAND = re.compile(rf"(?<![`\w])kapok ({'|'.join(GROUPS)})\b")


@pytest.fixture
def raising(monkeypatch):
    """Let any command that asks the broker raise."""

    def arrange(error: BaseException) -> None:
        async def broken(_home):
            raise error

        monkeypatch.setattr("kapok.client.session.connect_async", broken)

    return arrange


@pytest.mark.parametrize(
    ("home", "typed"), [("net/analyst", "net/analyst"), ("it's mine", "'it'\"'\"'s mine'")]
)
def test_a_hint_has_the_folder_that_was_given(raising, capsys, home, typed):
    raising(Unavailable("not done", code="not_ready", remedy="`kapok job wait ab12` waits for it"))
    assert run(["job", "result", "ab12", "--home", home]) == 6
    assert f"what to do: `kapok job wait ab12 --home {typed}` waits for it" in capsys.readouterr().err
    assert run(["job", "result", "ab12", f"--home={home}", "--json"]) == 6
    remedy = json.loads(capsys.readouterr().err)["error"]["remedy"]
    assert remedy == f"`kapok job wait ab12 --home {typed}` waits for it"


def test_a_hint_stays_as_it_is_where_no_folder_was_typed(raising, capsys, monkeypatch):
    monkeypatch.setenv("KAPOK_HOME", "net/analyst")
    raising(InvalidInput("no", remedy="see `kapok dataset list`"))
    for arguments, shown in (
        (["job", "list", "--home", "net/other"], "`kapok dataset list --home net/other`"),
        (["job", "list"], "`kapok dataset list`"),
    ):
        assert run(arguments) == 3
        assert f"what to do: see {shown}" in capsys.readouterr().err


def test_another_partys_command_is_not_given_our_folder(raising, capsys):
    raising(InvalidInput("no", remedy="they say `kapok node approve ab12`; or `kapok job list --home net/x`"))
    assert run(["job", "list", "--home", "net/analyst"]) == 3
    assert "`kapok node approve ab12`; or `kapok job list --home net/x`" in capsys.readouterr().err


def test_whatever_an_analyst_asks_by_the_hint_has_the_folder(raising, capsys):
    raising(InvalidInput("no", remedy="`kapok job list`, `kapok fl build` or `kapok dataset draft FILE`"))
    assert run(["explain", "SELECT COUNT(*) FROM heart", "--home", "net/analyst"]) == 3
    hint = "`kapok job list --home net/analyst`, `kapok fl build` or `kapok dataset draft FILE`"
    assert hint in capsys.readouterr().err


def test_every_command_is_an_analysts_or_another_partys_and_has_a_folder_or_none():
    others = {"authority", "broker", "cohort", "demo", "doctor", "enroll", "node"}
    assert set(GROUPS) - hints._ANALYST == others
    without = {
        f"{name} {verb}"
        for name in hints._ANALYST
        for verb, command in getattr(GROUPS[name], "commands", {}).items()
        if "--home" not in {option for parameter in command.params for option in parameter.opts}
    }
    assert without == set(hints._OF_NO_FOLDER)


def test_a_command_of_every_role_names_its_own_folder(tmp_path, capsys):
    home = str(tmp_path / "nothing")
    for group in ("node", "broker", "authority"):
        assert run([group, "run", "--home", home]) == 5
        assert re.search(
            rf"`kapok (enroll TOKEN|authority init TRUST_DOMAIN) --home {home}`", capsys.readouterr().err
        )


def test_progress_is_pasteable_too(raising, capsys):
    raising(InvalidInput("no"))
    run(["job", "list", "--home", "net/analyst"])
    capsys.readouterr()
    Live()(Progress(step="retrying", text="gone; `kapok job wait ab12` takes it up again"))
    assert "`kapok job wait ab12 --home net/analyst`" in capsys.readouterr().err


def test_times_name_their_zone(monkeypatch):
    import time

    monkeypatch.setenv("TZ", "UTC+3")
    time.tzset()
    try:
        assert when(1_700_000_000) == "2023-11-14 19:13:20 UTC"
        monkeypatch.setenv("TZ", "NST-9")
        time.tzset()
        assert when(1_700_000_000) == "2023-11-15 07:13:20 NST"
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("root", SOURCES, ids=lambda path: path.parent.name)
def test_every_command_that_a_message_names_stands_in_backquotes(root):
    """Only so is it given the folder."""
    bare = []
    for path in root.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        shown = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
        bare += [
            f"{path.name}:{node.lineno}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in shown
            if COMMAND.search(node.value) and not node.value.startswith("$ ")
        ]
    assert bare == []
