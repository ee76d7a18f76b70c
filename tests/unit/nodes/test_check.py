"""`kapok node check`: what can never work is a problem, what may not be meant a warning; with what to do."""

import pyarrow as pa
import pytest
from support.apps import archive, files_of

from kapok.errors import InvalidInput
from kapok.nodes import officers
from kapok.nodes.apps import sandbox
from kapok.nodes.apps.bundles import Bundles
from kapok.nodes.checking import check
from kapok.nodes.journal import Journal

A, B = "spiffe://kapok.test/org/a/node/main", "spiffe://kapok.test/org/b/node/main"
ROWS = [f"{30 + index},{index % 2},no" for index in range(30)]
RULE = {
    "analysts": '["spiffe://kapok.test/org/university/analyst/*"]',
    "dataset": '"clinic"',
    "operations": '["count", "sum"]',
    "columns": '["age", "smoker"]',
    "questions": "10",
    "min_rows": "20",
    "min_cell": "5",
}


def rule(**changes):
    return "[[rule]]\n" + "".join(f"{key} = {value}\n" for key, value in (RULE | changes).items())


@pytest.fixture
def checked(tmp_path, world, dataset):
    """Check a node whose home is as it should be, but for what a test changes."""
    home, node = tmp_path / "home", world.nodes["a"]
    documents = home / "state" / "datasets"
    identity = home / "identity"
    for folder in (documents, identity):
        folder.mkdir(parents=True, mode=0o700)
    for name, content in {
        "key.pem": node.credentials.key_pem(),
        "certificate.pem": node.credentials.certificate_pem,
        "root.pem": node.credentials.root_pem,
    }.items():
        (identity / name).write_bytes(content)
        (identity / name).chmod(0o600)
    dataset_hash = world.job("SELECT COUNT(*) FROM clinic").spec.dataset
    (documents / f"{dataset_hash}.json").write_bytes(dataset.to_payload())
    (home / "node.toml").write_text(
        f'broker = "127.0.0.1:1"\ninstance = "../instance"\n[datasets.clinic]\nhash = "{dataset_hash}"\n'
        '[datasets.clinic.source]\nformat = "csv"\npath = "patients.csv"\n'
    )

    def run(policy=None, rows=ROWS):
        (home / "policy.toml").write_text(rule() if policy is None else policy)
        (home / "patients.csv").write_text("\n".join(["age,sex,smoker", *rows]) + "\n")
        return check(home, dial=False, clock=world.clock)

    return run


def test_a_node_that_is_as_it_should_be_has_neither_problem_nor_warning(checked):
    report = checked()
    assert (report.problems, report.warnings) == ((), ())
    assert report.ok
    assert report.datasets[0].table.rows == 30


def test_a_journal_with_which_the_node_would_not_start_is_a_problem(checked, tmp_path, world):
    journal, mirror = tmp_path / "home" / "state" / "journal.db", tmp_path / "instance"
    assert checked().ok
    assert not journal.exists()
    Journal.open(journal, mirror, clock=world.clock).close()
    kept = journal.read_bytes()
    assert checked().ok
    assert journal.read_bytes() == kept
    for content, code in ((None, "journal_restored"), (b"garbage" * 99, "bad_database")):
        journal.unlink() if content is None else journal.write_bytes(content)
        report = checked()
        (problem,) = report.problems
        assert problem.startswith("journal: ")
        with pytest.raises(InvalidInput) as caught:
            Journal.open(tmp_path / "copy.db" if content is None else journal, mirror, clock=world.clock)
        assert caught.value.code == code
        assert f"[{code}]" in problem
        assert not report.ok
        assert journal.exists() is (content is not None)
    settings = tmp_path / "home" / "node.toml"
    journal.unlink()
    settings.write_text(f"accept_rollback = {mirror.read_text()}\n{settings.read_text()}")
    assert checked().ok


def test_an_empty_file_is_a_problem(checked):
    report = checked(rows=[])
    (problem,) = report.problems
    assert problem.startswith("dataset clinic: the source has no rows")
    assert "path names the right file" in problem
    assert report.datasets[0].table.rows == 0
    assert report.warnings == ()


@pytest.mark.parametrize(
    ("changes", "key", "named", "remedy"),
    [
        (
            {"columns": '["age", "smokr"]'},
            "columns",
            "'smokr'",
            "did you mean smoker? it has age, sex, smoker",
        ),
        ({"columns": '["*", "weight"]'}, "columns", "'weight'", "it has age, sex, smoker"),
        (
            {"analysts": '["spiffe://other.test/org/university/analyst/*"]'},
            "analysts",
            "trust domain other.test",
            "write kapok.test",
        ),
        (
            {"members": f'["{A}", "spiffe://other.test/org/*/node/*"]'},
            "members",
            "trust domain other.test",
            "write kapok.test",
        ),
        ({"members": f'["{B}"]'}, "members", f"leaves out {A} (this node itself)", "add it there"),
        (
            {"members": f'["{A}"]', "required_members": f'{{"{B}" = ""}}'},
            "members",
            f"leaves out {B} (required)",
            "add it there",
        ),
        (
            {"required_members": '{"spiffe://other.test/org/b/node/main" = ""}'},
            "required_members",
            "trust domain other.test",
            "write kapok.test",
        ),
        ({"dataset": '"clinics"'}, "dataset", "[datasets.clinics]", "name one that is there (clinic)"),
        ({"columns": "[]"}, "operations", "allows sum", 'write operations = ["count"]'),
        ({"columns": '["smoker"]'}, "operations", "is a text", "name a column of numbers"),
        ({"min_rows": "1001"}, "min_rows", "has 1,000 at most", "ask for fewer"),
        ({"min_cell": "1001"}, "min_cell", "has 1,000 at most", "ask for fewer"),
        ({"dominance": "{n = 11, percent = 1}"}, "dominance", "1,100 rows", "every total is suppressed"),
    ],
)
def test_what_can_never_work_is_a_problem_of_its_rule_and_key(checked, changes, key, named, remedy):
    others = {"analysts": '["spiffe://kapok.test/org/x/analyst/*"]'}
    report = checked(rule() + rule(**(others | changes)))
    assert not report.ok
    (problem,) = report.problems
    assert problem.startswith(f"policy: rule 2: key {key!r} ")
    assert named in problem
    assert remedy in problem


def test_a_rule_that_earlier_ones_hide_is_a_problem(checked):
    anybody, one = '["spiffe://kapok.test/org/*/analyst/*"]', '["spiffe://kapok.test/org/x/analyst/one"]'
    (problem,) = checked(rule(analysts=anybody) + rule(analysts=one, columns='["age"]')).problems
    assert problem.startswith("policy: rule 2: it never applies, for rule 1 before it")
    assert checked(rule(analysts=one) + rule(analysts=anybody)).ok
    assert checked(rule(analysts=one) + rule(analysts=anybody, dataset='"clinic"')).ok
    two = '["org/x/analyst/*", "org/y/analyst/*"]'
    x, y = ('["org/x/analyst/*"]', '["spiffe://kapok.test/org/y/analyst/two"]')
    (problem,) = checked(rule(analysts=x) + rule(analysts=y) + rule(analysts=x)).problems
    assert problem.startswith("policy: rule 3: it never applies, for rule 1 before it")
    (problem,) = checked(
        rule(analysts=two) + rule(analysts='["org/z/analyst/*"]') + rule(analysts=two)
    ).problems
    assert problem.startswith("policy: rule 3: it never applies, for rule 1 before it")
    # A rule that still applies to somebody works, and whoever it does not reach is named.
    report = checked(rule(analysts=x) + rule(analysts=two))
    assert report.ok
    (warning,) = report.warnings
    assert warning.startswith("policy: rule 2: key 'analysts' names org/x/analyst/*, and rule 1 before it")


def test_who_may_ask_what_is_said_for_each_rule_and_each_dataset(checked):
    told = checked(
        rule(
            hours='["mon-fri 08:00-18:00"]',
            questions_per_day="3",
            dominance="{n = 2, percent = 80}",
            p_percent="20",
            approval='"automatic"',
            members=f'["{A}", "org/*/node/*"]',
        )
        + rule(analysts='["org/insurer/analyst/*"]', columns="[]", operations='["count"]')
    ).policy
    assert [line for line in told if not line.startswith("  ")] == [
        "Rule 1: spiffe://kapok.test/org/university/analyst/* may ask clinic",
        "Rule 2: org/insurer/analyst/* may ask clinic",
        "Over clinic: spiffe://kapok.test/org/university/analyst/* by rule 1; org/insurer/analyst/* by rule "
        "2 (the first that names an analyst counts); nobody else.",
    ]
    words = "\n".join(told)
    for said in (
        "for count, sum over the columns age, smoker",
        "10 questions for each organisation, at most 3 a day, taken mon-fri 08:00-18:00 (UTC), answered at",
        "what a filter leaves of fewer than 20 rows; cells of fewer than 5 rows or known values; totals of "
        "which the 2 largest contributors have more than 80 %; totals that without the two largest are less "
        "than 20 % of the largest",
        "for count over no column: rows may be counted, all of them together",
        "10 questions for each organisation, taken at any time, each answered after an officer's approval",
        f"at least 3 organisations that match {A} or org/*/node/* besides the analyst's own",
    ):
        assert said in words
    assert "Over clinic: nobody may ask anything." in checked(rule(dataset='"other"')).policy


def test_a_policy_without_rules_keeps_the_node_from_answering(checked):
    report = checked("")
    assert not report.ok
    assert report.problems == (
        "policy: it has no rule, and every question is refused: add the rules that you agree to",
    )
    assert report.warnings == ()


def test_a_data_file_that_is_not_there_is_named(checked, tmp_path):
    settings = tmp_path / "home" / "node.toml"
    settings.write_text(settings.read_text().replace("patients.csv", "nowhere.csv"))
    (problem,) = checked().problems
    assert str(tmp_path / "home" / "nowhere.csv") in problem


def test_what_works_and_may_not_be_meant_is_a_warning(checked):
    report = checked(rule(questions="0"))
    assert report.ok
    (warning,) = report.warnings
    assert warning.startswith("policy: rule 1: key 'questions' is 0, and every question is refused")
    c = B.replace("org/b", "org/c")
    report = checked(rule(members=f'["{A}", "{B}"]'))
    assert report.ok
    (warning,) = report.warnings
    assert "key 'min_parties' asks for 3 organisations, and 'members' names 2" in warning
    for members in (f'["{A}", "{B}", "{c}"]', '["spiffe://kapok.test/org/*/node/*"]'):
        assert checked(rule(members=members)).warnings == ()
    for changes, key in (({"min_rows": "31"}, "min_rows"), ({"min_cell": "31"}, "min_cell")):
        report = checked(rule(**changes))
        assert report.ok
        (warning,) = [one for one in report.warnings if "never counts" not in one]
        assert warning.startswith(f"policy: rule 1: key {key!r} asks for 31 rows")
        assert "has 30" in warning
    assert checked(rule(min_rows="30", min_cell="30")).warnings == ()
    for changes, said in (
        ({"questions_per_day": "0"}, "key 'questions_per_day' is 0, and every question is refused"),
        ({"questions_per_day": "11"}, "'questions' grants 10 in all: it never counts"),
        ({"columns": '["*", "age"]'}, 'has "*" beside names'),
        ({"functions": '["*", "abs"]'}, "key 'functions' has \"*\" beside names"),
        ({"dominance": "{n = 31, percent = 99}"}, "key 'dominance' asks for 32 rows, and the table"),
    ):
        report = checked(rule(**changes))
        assert report.ok
        (warning,) = report.warnings
        assert said in warning
    assert (
        checked(rule(questions_per_day="10", dominance="{n = 2, percent = 80}", p_percent="20")).warnings
        == ()
    )
    (warning,) = checked(rule(p_percent="20", min_rows="2", min_cell="2"), rows=ROWS[:2]).warnings
    assert "key 'p_percent' asks for 3 rows, and the table of clinic has 2" in warning


def test_a_pause_is_a_problem_and_files_that_the_node_has_not_read_are_named(checked, tmp_path, world):
    home = tmp_path / "home"
    assert checked().ok
    journal = Journal.open(home / "state" / "journal.db", tmp_path / "instance", clock=world.clock)
    journal.put_in_force((home / "policy.toml").read_text(), (home / "node.toml").read_text())
    report = checked()
    assert (report.problems, report.warnings) == ((), ())
    officers.pause(home, "an audit")
    (home / "node.toml").write_text((home / "node.toml").read_text() + "\n")
    report = checked(rule(questions="11"))
    (problem,) = report.problems
    assert problem.startswith("paused since ")
    assert f"by {officers.officer()} (an audit)" in problem
    assert "kapok node resume" in problem
    policy, settings = report.warnings
    assert policy.startswith("policy.toml has changed since the node read it (2027-01-15 08:00:00 UTC)")
    assert "the signal HUP" in policy
    assert settings.startswith("node.toml has changed")
    journal.close()


APP = "ab" * 32


def app(**changes):
    keys = {
        "hash": f'"{APP}"',
        "analysts": '["spiffe://kapok.test/org/university/analyst/*"]',
        "dataset": '"clinic"',
        "columns": '["age"]',
    }
    return "[[app]]\n" + "".join(f"{key} = {value}\n" for key, value in (keys | changes).items())


def test_apps_are_told_in_words_and_what_keeps_them_from_running_is_a_problem(checked, monkeypatch):
    report = checked(rule() + app(allow='["epochs=1..5"]') + app(dataset='"icu"'))
    words = "\n".join(report.policy)
    assert f"App 1: {APP} may run for spiffe://kapok.test/org/university/analyst/* over clinic" in words
    assert "sees the columns age; of its configuration a job may change epochs=1..5" in words
    assert "shut in a sandbox; 1 CPU, 2048 MiB" in words
    assert any("app 1: there is no app" in one and "kapok node apps add" in one for one in report.problems)
    assert any("app 2:" in one and "'icu'" in one for one in report.problems)
    assert report.warnings == ()


def test_an_app_whose_bundle_is_here_and_a_key_that_it_does_not_have(checked, tmp_path):
    content = archive(files_of("return None"))
    digest = Bundles(tmp_path / "home" / "state" / "apps" / "bundles").add(content).hash
    allowed = app(hash=f'"{digest}"', allow='["learning-rate=0..1"]', isolation='"none"')
    report = checked(rule() + allowed)
    assert report.problems == ()
    (warning,) = report.warnings
    assert "without a sandbox" in warning
    (problem,) = checked(rule() + allowed.replace("learning-rate", "epochs")).problems
    assert "'allow' has epochs" in problem


def test_a_machine_without_a_sandbox_is_a_problem_where_an_app_needs_one(checked, tmp_path, monkeypatch):
    digest = Bundles(tmp_path / "home" / "state" / "apps" / "bundles").add(archive(files_of("pass"))).hash
    monkeypatch.setattr(sandbox.shutil, "which", lambda *_, **__: None)
    sandbox.check_sandbox.cache_clear()
    try:
        (problem,) = checked(rule() + app(hash=f'"{digest}"')).problems
        assert checked(rule() + app(hash=f'"{digest}"', isolation='"none"')).ok
    finally:
        sandbox.check_sandbox.cache_clear()
    assert "there is no sandbox for apps here: bubblewrap is not installed" in problem
    assert "apt-get install bubblewrap" in problem


def test_cells_that_are_read_as_something_else_are_warnings_with_their_rows(checked, tmp_path):
    settings = tmp_path / "home" / "node.toml"
    settings.write_text(settings.read_text() + 'on_fault = "missing"\n')
    report = checked(rows=[*ROWS, "40,7,no", "41,x,no"])
    assert report.ok
    assert [warning for warning in report.warnings if warning.startswith("dataset")] == [
        "dataset clinic: column sex: 1 cell cannot be read as integer: read as missing (row 32)",
        "dataset clinic: column sex: 1 cell is out of bounds or outside the domain: read as missing (row 31)",
    ]
    settings.write_text(settings.read_text() + 'on_fault_in = {age = "missing"}\n')
    assert checked().problems == (
        "dataset clinic: key 'on_fault_in': column age may not be empty by the schema: write refuse or clip",
    )


@pytest.mark.parametrize(
    ("cells", "fault", "remedy"),
    [
        ("40,7,no", "column sex: 1 cell is out of bounds or outside the domain (row 31)", '"missing"'),
        ("999,1,no", "column age: 1 cell is out of bounds or outside the domain (row 31)", '"clip"'),
        ("x,1,no", "column age: 1 cell cannot be read as integer (row 31)", ""),
    ],
)
def test_a_cell_that_breaks_the_schema_is_told_with_what_on_fault_does_about_it(
    checked, tmp_path, cells, fault, remedy
):
    (problem,) = checked(rows=[*ROWS, cells]).problems
    assert problem.startswith(f"dataset clinic: {fault}")
    assert ("on_fault" in problem) is bool(remedy)
    assert remedy in problem
    if remedy:
        settings, column = tmp_path / "home" / "node.toml", fault.split(":")[0].removeprefix("column ")
        settings.write_text(settings.read_text() + f"on_fault_in = {{{column} = {remedy}}}\n")
        assert checked(rows=[*ROWS, cells]).ok


def test_a_filter_is_told_with_how_many_rows_it_keeps(checked, tmp_path):
    assert checked().datasets[0].table.unfiltered is None
    settings = tmp_path / "home" / "node.toml"
    settings.write_text(settings.read_text() + "filter = \"sex = '1'\"\n")
    report = checked()
    assert (report.datasets[0].table.rows, report.datasets[0].table.unfiltered) == (15, 30)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"min_cell": "1"}, "key 'min_cell' is 1, and a cell of one person's row is not suppressed"),
        ({"min_rows": "4"}, "key 'min_rows' is 4, less than 'min_cell' with 5: it never counts"),
    ],
)
def test_least_sizes_that_protect_nobody_are_warnings(checked, changes, said):
    report = checked(rule(**changes))
    assert report.ok
    (warning,) = report.warnings
    assert warning.startswith(f"policy: rule 1: {said}")


def test_a_database_is_checked_like_a_file(checked, tmp_path, postgres, monkeypatch):
    settings = tmp_path / "home" / "node.toml"
    text = settings.read_text().partition("[datasets.clinic.source]")[0]
    settings.write_text(
        f'{text}[datasets.clinic.source]\nformat = "postgresql"\nurl_env = "CLINIC"\nrelation = "ward"\n'
    )
    (problem,) = checked().problems
    assert problem.startswith("dataset clinic: the environment variable CLINIC is not set: set it to the URL")
    monkeypatch.setenv("CLINIC", postgres.url())
    (problem,) = checked().problems
    assert 'relation "ward" does not exist' in problem
    ages = pa.array(range(30, 60), pa.int32())
    postgres.make("ward", pa.table({"age": ages, "sex": pa.array([0, 1] * 15), "smoker": ["no"] * 30}))
    report = checked()
    assert (report.problems, report.warnings) == ((), ())
    assert report.datasets[0].table.rows == 30
    settings.write_text(settings.read_text() + 'filter = "sex = 1"\n')
    found = checked().datasets[0].table
    assert (found.rows, found.unfiltered) == (15, 30)
