"""`kapok node` on the terminal: one document with --json, one name for a job, rows for people."""

import io
import json
import time

import pytest

from kapok.cli.app import run
from kapok.nodes.checking import CheckReport, DatasetReport
from kapok.nodes.journal import Decision, Journal, NewJob
from kapok.nodes.policy import Rule
from kapok.nodes.sources import Problem, TableReport


def dataset(rows: int | None, name: str = "heart") -> DatasetReport:
    table = TableReport(rows, (Problem("column age: cells are out of bounds", 2, ("3", "7")),))
    problems = tuple(str(problem) for problem in table.problems)
    return DatasetReport(name, "ab" * 32, f"{name}-table", "heart", table, problems)


@pytest.fixture
def checked(monkeypatch):
    """Let the check find what a test says."""

    def arrange(*datasets: DatasetReport, problems: tuple[str, ...], warnings: tuple[str, ...] = ()) -> None:
        report = CheckReport(
            party="spiffe://kapok.test/org/a/node/main",
            key_fingerprint="cd" * 32,
            broker="127.0.0.1:1",
            broker_problem=None,
            policy=("No rule: every question is refused.",),
            datasets=datasets,
            problems=problems,
            warnings=warnings,
        )
        monkeypatch.setattr("kapok.nodes.app.check", lambda _home: report)

    return arrange


@pytest.mark.parametrize("problems", [(), ("dataset heart: no", "policy: no")])
def test_a_check_is_one_document_whether_it_fails_or_not(checked, problems, capsys):
    checked(dataset(1234), problems=problems)
    assert run(["node", "check", "--json"]) == (3 if problems else 0)
    out, err = capsys.readouterr()
    assert err == ""
    document = json.loads(out)
    assert document["ok"] is (not problems)
    assert document["problems"] == list(problems)
    assert document["datasets"][0]["table"]["rows"] == 1234


def test_a_failed_check_ends_with_an_error_for_people(checked, capsys):
    checked(dataset(1234), problems=("dataset heart: no", "policy: no"))
    assert run(["node", "check"]) == 3
    out, err = capsys.readouterr()
    assert err.startswith("error: this node cannot answer as it is: 2 problems")
    assert "[check_failed]" in err
    for problem in ("dataset heart: no", "policy: no"):
        assert (out + err).count(problem) == out.count(f"problem  {problem}") == 1


def test_a_check_with_warnings_does_not_say_that_all_is_well(checked, capsys):
    for warnings, all_well in (((), True), (("policy: every question is refused",), False)):
        checked(dataset(1234), problems=(), warnings=warnings)
        assert run(["node", "check"]) == 0
        out = capsys.readouterr().out
        assert ("nothing keeps this node from answering" in out) is all_well
        assert "ok       " in out


def test_people_read_how_many_rows_each_asset_has(checked, capsys):
    absent = DatasetReport("lungs", "ef" * 32, "lungs", None, None, ("not here",))
    checked(dataset(1234), dataset(0, "liver"), dataset(None, "brain"), absent, problems=())
    assert run(["node", "check"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("asset")]
    assert lines == [
        "asset    heart-table: 1,234 rows",
        "asset    liver-table: 0 rows",
        "asset    brain-table: rows unknown, for it cannot be read",
        "asset    lungs: rows unknown without the dataset's document",
    ]


def test_a_job_is_called_job_in_every_document(tmp_path, capsys):
    (tmp_path / "node.toml").write_text('broker = "127.0.0.1:1"\nstate = "."\n')
    now, job_ids = time.time(), ("ab" * 32, "cd" * 32)
    journal = Journal.open(tmp_path / "journal.db", tmp_path / "instance", clock=lambda: now)
    asked = {"analyst": "a", "organisation": "o", "dataset": "d", "asset": "d", "deadline": now + 3600}
    rule = Rule(
        analysts=(), dataset="d", operations=("count",), columns=(), questions=1, min_rows=1, min_cell=1
    )
    for job_id in job_ids:
        journal.count_try(NewJob(job_id=job_id, question="SELECT", in_words="how many", **asked))
        journal.defer(job_id, specification="", decision=Decision(rule, 1, 1))
    journal.close()
    assert run(["node", "pending", "--json", "--home", str(tmp_path)]) == 0
    first, second = json.loads(capsys.readouterr().out)["pending"]
    assert (first["job"], second["job"]) == job_ids
    assert [one["job"] for one in second["earlier"]] == [job_ids[0]]
    assert run(["node", "approve", job_ids[0], "--json", "--home", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out) == {"job": job_ids[0], "verdict": "approved"}
    assert "job_id" not in {*first, *second, *second["earlier"][0]}


@pytest.fixture
def home(tmp_path):
    """A node's folder with one question that waits for an officer, and one that was asked before."""
    (tmp_path / "node.toml").write_text('broker = "127.0.0.1:1"\nstate = "."\n')
    now = time.time()
    journal = Journal.open(tmp_path / "journal.db", tmp_path / "instance", clock=lambda: now)
    asked = {"organisation": "o", "dataset": "d", "asset": "d", "deadline": now + 3600}
    rule = Rule(
        analysts=("spiffe://kapok.test/org/o/analyst/*",),
        dataset="d",
        operations=("count",),
        columns=("age",),
        questions=7,
        min_rows=1,
        min_cell=1,
    )
    for job_id, by, words in (("ab" * 32, "bob", "how many"), ("cd" * 32, "eve", "how many women")):
        journal.count_try(NewJob(job_id=job_id, analyst=by, question="SELECT", in_words=words, **asked))
        journal.defer(job_id, specification="", decision=Decision(rule, 2, 1))
    journal.close()
    return tmp_path


class Terminal(io.StringIO):
    """What a person types."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("answer", "verdict"), [("n\n", "it waits as before"), ("y\n", "is approved")])
def test_an_officer_sees_all_there_is_to_decide_by_and_is_asked(home, monkeypatch, capsys, answer, verdict):
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    assert run(["node", "approve", "cdcd", "--home", str(home)]) == 0
    out = capsys.readouterr().out
    for said in ("eve", "how many women", "Rule 2", "7 questions", "asked before", "bob", "cohort", verdict):
        assert said in out
    assert run(["node", "approve", "cdcd", "--yes", "--home", str(home)]) == 0


def test_without_a_terminal_nothing_is_approved_unless_it_is_said(home, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert run(["node", "approve", "cdcd", "--home", str(home)]) == 3
    assert "[not_confirmed]" in capsys.readouterr().err
    assert run(["node", "pending", "--home", str(home)]) == 0
    assert "cd" * 32 in capsys.readouterr().out


def test_a_pause_is_said_and_told_in_json(home, capsys):
    paused = ["node", "pause", "--home", str(home), "--reason", "an audit"]
    assert run(paused) == 0
    assert "an audit" in capsys.readouterr().out
    assert run([*paused, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["paused"], document["reason"], document["resumed_at"]) == (True, "an audit", None)
    assert run(["node", "approve", "abab", "--home", str(home), "--json"]) == 3
    assert "node_paused" in capsys.readouterr().err
    for expected in ("resumed; it was paused since", "was not paused"):
        assert run(["node", "resume", "--home", str(home)]) == 0
        assert expected in capsys.readouterr().out
    assert run(["node", "resume", "--home", str(home), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"paused": False}
