"""What a holder's officers do with apps: bring, read, approve, withdraw; by command, and on record."""

import json
import sys
from pathlib import Path

import pytest
from support.apps import archive, files_of, need_sandbox

from kapok.cli.app import run
from kapok.documents.bundle import read_bundle
from kapok.errors import ConsentWithheld, InvalidInput, NotFound
from kapok.identity.names import PartyName
from kapok.nodes.apps import officers as app_officers
from kapok.nodes.apps import sandbox
from kapok.nodes.apps.approval import AppRule
from kapok.nodes.apps.bundles import Bundles
from kapok.nodes.apps.host import AppHost
from kapok.nodes.apps.readiness import app_problems
from kapok.nodes.history import history
from kapok.nodes.journal import Journal
from kapok.nodes.policy import load_policy
from kapok.nodes.settings import load_settings

TRAIN = "import subprocess\nreturn eval('None')  # see `kapok node check`"
FILE = archive(files_of(TRAIN))
APP = read_bundle(FILE).hash
ANALYST = "spiffe://kapok.test/org/university/analyst/*"
NODE_TOML = """
broker = "127.0.0.1:1"
[datasets.clinic]
hash = "{hash}"
[datasets.clinic.source]
format = "csv"
path = "patients.csv"
"""


@pytest.fixture
def home(tmp_path):
    """A node that has run once."""
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    (folder / "node.toml").write_text(NODE_TOML.format(hash="ab" * 32))
    (folder / "policy.toml").write_text("")
    (folder / "state").mkdir(mode=0o700)
    Journal.open(folder / "state" / "journal.db", folder / "instance", clock=lambda: 1e9).close()
    return folder


@pytest.fixture
def kapok(home, capsys):
    """Run a command for this home; its output, or its error when it fails."""

    def command(*words: str, status: int = 0) -> str:
        assert run([*words, "--home", str(home)]) == status, capsys.readouterr()
        out, err = capsys.readouterr()
        return err if status else out

    return command


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "little.fab"
    path.write_bytes(FILE)
    return str(path)


def test_from_the_file_to_the_approval_and_back(kapok, file, home):
    assert "no app is here" in kapok("node", "apps")
    shown = kapok("node", "apps", "add", file)
    for said in (
        APP,
        "little.client:app",
        "flwr",
        "learning-rate",
        "little/client.py:12  import subprocess: starts processes",
        "eval(…): runs a text as code",
    ):
        assert said in shown
    assert "not approved" in kapok("node", "apps")
    code = kapok("node", "apps", "show", APP[:8], "--code")
    assert "   12      import subprocess" in code
    # The app's own text, not a hint of ours that would get this folder.
    assert "   13      return eval('None')  # see `kapok node check`\n" in code
    approve = ("node", "approve", "app", APP[:12], "--analyst", ANALYST, "--columns", "age, smoker")
    changed = ("--allow", "learning-rate=0.0001..0.1", "--limit", "memory_mib=4096", "--clip-norm", "2.5")
    assert "[not_confirmed]" in kapok(*approve, *changed, status=3)
    assert "is approved" in kapok(*approve, *changed, "--yes")
    assert "as it was before" in kapok(*approve, *changed, "--yes")
    listed = kapok("node", "apps")
    for said in (
        f"may run for {ANALYST} over clinic",
        "sees the columns age, smoker",
        "learning-rate=0.0001..0.1",
        "shut in a sandbox",
        "4096 MiB",
        "by a norm of 2.5 at most",
    ):
        assert said in listed
    (document,) = json.loads(kapok("node", "apps", "--json"))["apps"]
    assert (document["hash"], document["here"], document["name"]) == (APP, True, "little")
    assert document["approvals"][0]["columns"] == ["age", "smoker"]
    assert "no longer approved" in kapok("node", "apps", "withdraw", APP[:8])
    assert "[unknown_app]" in kapok("node", "apps", "withdraw", APP[:8], status=5)
    assert "not approved" in kapok("node", "apps")
    told = kapok("node", "history")
    assert told.index("app approved for") < told.index("approval of the app over clinic ended")
    (one,) = history(home).apps
    assert one.withdrawn_at >= one.approved_at > 1e9
    assert json.loads(kapok("node", "history", "--json"))["apps"][0]["rule"]["hash"] == APP
    kapok("node", "apps", "remove", APP)
    assert "no app is here" in kapok("node", "apps")


def test_documents_of_the_commands(kapok, file):
    assert json.loads(kapok("node", "apps", "add", file, "--json"))["hash"] == APP
    assert "little/client.py" in json.loads(kapok("node", "apps", "show", APP, "--code", "--json"))["code"]
    approve = ("node", "approve", "app", APP, "--analyst", ANALYST, "--columns", "*", "--json")
    assert json.loads(kapok(*approve)) == {"app": APP, "approved": True, "new": True}
    assert json.loads(kapok("node", "apps", "withdraw", APP, "--json")) == {
        "app": APP,
        "withdrawn": ["clinic"],
    }
    assert json.loads(kapok("node", "apps", "remove", APP, "--json")) == {"app": APP, "removed": True}


def test_removing_a_bundle_withdraws_its_approval(kapok, file, home):
    kapok("node", "apps", "add", file)
    kapok("node", "approve", "app", APP, "--analyst", ANALYST, "--columns", "age", "--yes")
    kapok("node", "apps", "remove", APP)
    kapok("node", "apps", "add", file)
    assert "not approved" in kapok("node", "apps")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--columns", "age"), "bad_approval"),
        (("--analyst", ANALYST), "bad_approval"),
        (("--analyst", ANALYST, "--columns", "age", "--dataset", "icu"), "bad_approval"),
        (("--analyst", "nobody", "--columns", "age"), "bad_approval"),
        (("--analyst", ANALYST, "--columns", "age", "--allow", "nothing=1"), "bad_approval"),
        (("--analyst", ANALYST, "--columns", "age", "--allow", "epochs"), "bad_approval"),
        (("--analyst", ANALYST, "--columns", "age", "--limit", "memory_mib=1"), "bad_approval"),
        (("--analyst", ANALYST, "--columns", "age", "--limit", "memory=1"), "bad_approval"),
    ],
)
def test_what_cannot_be_approved(kapok, file, words, code):
    kapok("node", "apps", "add", file)
    assert f"[{code}]" in kapok("node", "approve", "app", APP, *words, "--yes", status=3)
    assert "not approved" in kapok("node", "apps")


def test_an_app_that_is_not_here_and_files_that_are_none(kapok, file, tmp_path, home):
    assert "[unknown_app]" in kapok("node", "apps", "show", APP, status=5)
    assert "[unknown_app]" in kapok("node", "apps", "show", "../../identity", status=5)
    assert "[no_such_file]" in kapok("node", "apps", "add", str(tmp_path / "gone.fab"), status=5)
    (tmp_path / "bad.fab").write_bytes(b"PK")
    assert "[bad_bundle]" in kapok("node", "apps", "add", str(tmp_path / "bad.fab"), status=3)
    bundles = Bundles(home / "state" / "apps" / "bundles")
    digest = bundles.add(FILE).hash
    (home / "state" / "apps" / "bundles" / f"{digest}.fab").write_bytes(FILE + b"\0")
    with pytest.raises(InvalidInput) as changed:
        bundles.get(digest)
    assert changed.value.code == "bundle_differs"
    (home / "state" / "apps" / "bundles" / f"{digest[:-1]}{'0' if digest[-1] != '0' else '1'}.fab").touch()
    with pytest.raises(InvalidInput) as ambiguous:
        bundles.find(digest[:6])
    assert ambiguous.value.code == "ambiguous_app"


def app_rule(**changes) -> str:
    keys = {
        "hash": f'"{APP}"',
        "analysts": f'["{ANALYST}"]',
        "dataset": '"clinic"',
        "columns": '["age"]',
        "allow": '["learning-rate=0.0001..0.1"]',
    } | changes
    return "[[app]]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items())


def test_the_policy_file_approves_apps_too(home):
    (home / "policy.toml").write_text(
        app_rule() + "[app.limits]\nmemory_mib = 4096\n" + app_rule(columns='["*"]')
    )
    first, second = load_policy(home).app
    assert (first.limits.memory_mib, second.limits.memory_mib) == (4096, 2048)
    (home / "policy.toml").write_text(app_rule() + app_rule(allow='["learning-rate"]'))
    with pytest.raises(InvalidInput) as refused:
        load_policy(home)
    assert refused.value.code == "bad_settings"
    assert "app 2: key 'allow'" in refused.value.message
    (home / "policy.toml").write_text(app_rule(isolation='"perhaps"'))
    with pytest.raises(InvalidInput) as refused:
        load_policy(home)
    assert "app 1: key 'isolation'" in refused.value.message


class Question:
    app, columns, config = APP, ("age",), {"learning-rate": 0.05}
    clip_norm = None


ALICE = PartyName.parse("spiffe://kapok.test/org/university/analyst/alice")


def test_what_the_node_looks_at_before_an_app_runs(home, monkeypatch):
    host = AppHost.of(home, load_settings(home))
    rule = AppRule(
        hash=APP, analysts=(ANALYST,), dataset="clinic", columns=("age",), allow=("learning-rate=0..1",)
    )

    def judged(question=Question, policy=(rule,)):
        return host.approved(question, ALICE, dataset="clinic", policy=policy, by_hand=())

    def refused(*given, **options) -> str:
        with pytest.raises(ConsentWithheld) as error:
            judged(*given, **options)
        return error.value.code

    monkeypatch.setattr("kapok.nodes.apps.host.check_walls", lambda *_: [])
    assert refused(policy=()) == "app_not_approved"
    assert refused() == "app_not_here"
    app_officers.bundles_of(load_settings(home)).add(FILE)
    hosted = judged()
    assert hosted.bundle == FILE
    assert hosted.run_config == {"learning-rate": 0.05, "local-epochs": 1, "optimizer": "sgd", "quick": True}

    class Other(Question):
        config = {"learning-rate": 2.0}

    assert refused(Other) == "override_not_allowed"
    monkeypatch.undo()
    monkeypatch.setattr(sandbox.shutil, "which", lambda *_, **__: None)
    sandbox.check_sandbox.cache_clear()
    try:
        assert refused() == "app_sandbox_missing"
        assert judged(policy=(AppRule(**{**_fields(rule), "isolation": "none"}),)).bundle == FILE
    finally:
        sandbox.check_sandbox.cache_clear()


def test_an_app_that_would_see_the_holders_files_is_refused_by_name_and_the_check_says_which(home):
    need_sandbox()
    settings = load_settings(home)
    app_officers.bundles_of(settings).add(FILE)
    rule = AppRule(
        hash=APP, analysts=(ANALYST,), dataset="clinic", columns=("age",), allow=("learning-rate=0..1",)
    )
    host = AppHost(settings.apps_folder, hidden=(Path(sys.prefix) / "rows.csv",))
    with pytest.raises(ConsentWithheld) as refused:
        host.approved(Question, ALICE, dataset="clinic", policy=(rule,), by_hand=())
    assert refused.value.code == "app_sandbox_missing"
    (problem,) = app_problems(settings, (rule,), (), host.hidden)
    assert "rows.csv lies in it" in problem
    assert list(app_problems(settings, (rule,), (), (home,))) == []


def _fields(rule: AppRule) -> dict:
    return {name: getattr(rule, name) for name in rule.__struct_fields__}


def test_what_an_earlier_run_left_is_removed(home):
    for name in ("jobs", "partitions", "bundles"):
        (home / "state" / "apps" / name / "left").mkdir(parents=True)
    AppHost.of(home, load_settings(home)).clear()
    assert [path.name for path in (home / "state" / "apps").iterdir()] == ["bundles"]


def test_removing_what_is_not_there(home):
    with pytest.raises(NotFound) as missing:
        app_officers.remove_app(home, APP)
    assert missing.value.code == "unknown_app"
