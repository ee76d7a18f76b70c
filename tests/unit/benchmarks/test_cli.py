import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import cli, suites
from benchmarks.errors import WrongResult
from benchmarks.measuring import Contender
from benchmarks.records import Report

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def unpinned(monkeypatch):
    """The test process keeps its cores."""
    monkeypatch.setattr(cli.machine, "pin", lambda threads: False)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--suite", "nothing"], "there is no suite 'nothing'"),
        (["--bits", "1024"], "--bits 1024"),
        (["--bits", "2049"], "--bits 2049: choose from 2048, 3072, 4096"),
        (["--bits", "many"], "--bits 'many': whole numbers"),
        (["--threads", "0"], "--threads 0"),
        (["--threads", "200"], "--threads 200: this process may use"),
        (["--seconds", "-1"], "--seconds -1"),
        (["--seconds", "nan"], "--seconds nan"),
        (["--seconds", "soon"], "--seconds"),
        (["--repeats", "0"], "--repeats 0: from 1"),
        (["--out", "/nowhere/at/all.json"], "there is no folder /nowhere/at"),
        (["--show", "/nowhere/at/all.json"], "cannot be read"),
        (["--frobnicate"], "--frobnicate"),
        (["--suite", "core,flights"], "--flights DIR"),
    ],
)
def test_arguments_that_make_no_sense_are_status_2_and_one_line(arguments, words, capsys):
    assert cli.main(arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_help_names_every_suite():
    environment = os.environ | {"COLUMNS": "100"}
    command = [sys.executable, "-m", "benchmarks", "--help"]
    shown = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    ).stdout
    for suite in ("core", "paillier", "secure-sum", "query", "flights"):
        assert suite in shown


def suite_with(monkeypatch, *, right):
    def run(session):
        one = Contender(
            name="one", role="kapok", units=1, run=lambda given: given, check=lambda given, made: right
        )
        session.figure("core/nothing", "nothing", "runs", [one])
        session.fact("core/none", "none", "B", 0.0)

    monkeypatch.setattr(suites, "run", run)


def test_a_run_writes_json_and_tables(monkeypatch, tmp_path, capsys):
    suite_with(monkeypatch, right=True)
    out = tmp_path / "out.json"
    arguments = ["--alone", "--suite", "core", "--seconds", "0", "--repeats", "4", "--out", str(out)]
    assert cli.main(arguments) == 0
    report = Report.read(out)
    assert report.command == "python -m benchmarks " + " ".join(arguments)
    assert len(report.figures[0].entries[0].runs) == 4
    assert report.options["suites"] == ["core"]
    assert {"cpu", "cores", "load_at_start", "blas"} <= set(report.machine)
    assert {"python", "numpy", "kapok"} <= set(report.versions)
    assert "nothing, 1 thread" in out.with_suffix(".md").read_text(encoding="utf-8")
    capsys.readouterr()
    assert cli.main(["--show", str(out)]) == 0
    assert "nothing" in capsys.readouterr().out


def test_a_wrong_result_is_status_1_and_leaves_no_figures(monkeypatch, tmp_path, capsys):
    suite_with(monkeypatch, right=False)
    out = tmp_path / "out.json"
    assert cli.main(["--alone", "--out", str(out)]) == 1
    assert "exact integers" in capsys.readouterr().err
    assert not out.exists()


def test_an_interrupted_run_says_so_and_writes_nothing(monkeypatch, tmp_path, capsys):
    def interrupted(session):
        raise KeyboardInterrupt

    monkeypatch.setattr(suites, "run", interrupted)
    out = tmp_path / "out.json"
    assert cli.main(["--alone", "--out", str(out)]) == 130
    assert "interrupted" in capsys.readouterr().err
    assert not out.exists()


def test_every_suite_can_be_chosen(monkeypatch):
    from benchmarks.session import SUITES, Options, Session

    for name in SUITES:
        options = Options(
            suites=(name,), bits=(2048,), threads=(1,), seconds=0, repeats=1, short=True, profile=False
        )
        ran = []
        module = __import__(f"benchmarks.suites.{name.replace('-', '_')}", fromlist=["run"])
        monkeypatch.setattr(module, "run", ran.append)
        session = Session(options, 1)
        suites.run(session)
        assert ran == [session]


def test_a_wrong_answer_of_the_demonstration_is_no_figure(monkeypatch):
    from benchmarks.session import Options, Session
    from benchmarks.suites import query

    told = subprocess.CompletedProcess([], 1, stdout=b'{"agree": false}', stderr=b"")
    monkeypatch.setattr(query.subprocess, "run", lambda *given, **named: told)
    options = Options(
        suites=("query",), bits=(2048,), threads=(1,), seconds=0, repeats=1, short=True, profile=False
    )
    with pytest.raises(WrongResult, match="pooled truth"):
        query.run(Session(options, 1))
