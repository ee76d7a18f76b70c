"""Errors on the terminal: words, JSON, statuses, and never a traceback."""

import json

import pytest

from kapok.cli import query as query_command
from kapok.cli.app import run
from kapok.errors import ConsentWithheld, InvalidInput


def said(capsys) -> tuple[str, str]:
    captured = capsys.readouterr()
    assert "Traceback" not in captured.out + captured.err
    return captured.out, captured.err


@pytest.fixture
def raising(monkeypatch):
    """Let any command that asks the broker raise."""

    def arrange(error: BaseException) -> None:
        async def broken(_home):
            raise error

        monkeypatch.setattr("kapok.client.session.connect_async", broken)

    return arrange


def test_errors_are_told_in_words(raising, capsys):
    raising(
        ConsentWithheld("the column is not allowed", clause="policy.columns", party="va", remedy="leave it")
    )
    assert run(["query", "SELECT 1"]) == 4
    out, err = said(capsys)
    assert out == ""
    assert err.splitlines() == [
        "error: the column is not allowed [consent_withheld]",
        "  party: va",
        "  clause: policy.columns",
        "  what to do: leave it",
    ]


def test_errors_are_told_in_json(raising, capsys):
    raising(InvalidInput("no", code="bad_thing", remedy="do"))
    assert run(["job", "list", "--json"]) == 3
    out, err = said(capsys)
    assert out == ""
    assert json.loads(err) == {
        "error": {
            "kind": "InvalidInput",
            "code": "bad_thing",
            "message": "no",
            "remedy": "do",
            "clause": None,
            "party": None,
            "retry_after_s": None,
        },
        "exit_status": 3,
    }


def test_defects_are_told_without_traceback_and_without_content(raising, capsys, monkeypatch):
    monkeypatch.delenv("KAPOK_DEBUG", raising=False)
    raising(ZeroDivisionError("the value 4711"))
    assert run(["dataset", "list"]) == 1
    _, err = said(capsys)
    assert "internal_error" in err
    assert "ZeroDivisionError" in err
    assert "KAPOK_DEBUG=1" in err
    assert "4711" not in err


def test_debug_shows_where(raising, capsys, monkeypatch):
    monkeypatch.setenv("KAPOK_DEBUG", "1")
    raising(ZeroDivisionError("here"))
    assert run(["dataset", "list"]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("submitted", [True, False])
def test_interrupted_is_130_and_says_how_to_go_on(raising, capsys, monkeypatch, submitted):
    original = query_command.Live.__init__

    def asked(self, *, quiet: bool = False) -> None:
        original(self, quiet=quiet)
        self.job_id, self.submitted = "ab12" * 16, submitted

    monkeypatch.setattr(query_command.Live, "__init__", asked)
    raising(KeyboardInterrupt())
    assert run(["query", "SELECT 1", "--home", "net/my analyst"]) == 130
    _, err = said(capsys)
    assert "`kapok job wait ab12ab12ab12 --home 'net/my analyst'`" in err
    assert ("the job goes on" in err) == submitted
    assert ("`kapok job cancel ab12ab12ab12 --home 'net/my analyst'`" in err) == (not submitted)


def test_interrupted_before_a_job_exists(raising, capsys):
    raising(KeyboardInterrupt())
    assert run(["query", "SELECT 1"]) == 130
    assert said(capsys)[1].splitlines() == ["nothing was submitted", "interrupted"]


@pytest.mark.parametrize("job_id", ["", "ab12" * 16])
def test_interrupted_with_json_is_one_document_that_names_the_job(raising, capsys, monkeypatch, job_id):
    original = query_command.Live.__init__

    def asked(self, *, quiet: bool = False) -> None:
        original(self, quiet=quiet)
        self.job_id = job_id

    monkeypatch.setattr(query_command.Live, "__init__", asked)
    raising(KeyboardInterrupt())
    assert run(["query", "SELECT 1", "--json"]) == 130
    out, err = said(capsys)
    assert err == ""
    document = json.loads(out)
    assert (document["error"]["code"], document["exit_status"]) == ("interrupted", 130)
    assert document["job"] == (job_id or None)
    assert ("`kapok job wait ab12ab12ab12`" in document["error"]["message"]) == bool(job_id)


def test_any_command_that_is_interrupted_says_so_in_json(raising, capsys):
    raising(KeyboardInterrupt())
    assert run(["job", "list", "--json"]) == 130
    assert json.loads(said(capsys)[0])["error"]["code"] == "interrupted"


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["query", "SELECT COUNT(*) FROM heart"], 5),
        (["job", "list"], 5),
        (["dataset", "list"], 5),
        (["key", "rotate"], 5),
        (["node", "check"], 5),
        (["node", "run"], 5),
        (["node", "pending"], 5),
        (["broker", "run"], 5),
        (["authority", "run"], 5),
        (["authority", "token", "node", "va", "main"], 5),
        (["enroll", "kapok1.!"], 8),
        (["query", "SELECT 1", "--out", "answer.doc"], 3),
        (["authority", "init", "Not A Domain"], 3),
        (["demo", "--bits", "1024"], 3),
    ],
)
def test_empty_folder_is_said_by_every_command(arguments, status, tmp_path, capsys):
    home = [] if arguments[0] == "demo" else ["--home", str(tmp_path / "nothing")]
    assert run([*arguments, *home]) == status
    out, err = said(capsys)
    assert out == ""
    assert "what to do" in err


def test_out_with_detach_is_wrong_use_that_says_where_out_belongs(tmp_path, capsys):
    assert run(["query", "SELECT 1", "--detach", "--out", "a.csv", "--home", str(tmp_path)]) == 2
    out, err = said(capsys)
    assert out == ""
    assert f"give --out to `kapok job wait JOB --home {tmp_path}`" in err


def test_home_comes_from_the_environment(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("KAPOK_HOME", str(tmp_path / "from-environment"))
    assert run(["job", "list"]) == 5
    assert "from-environment" in said(capsys)[1]


def test_token_is_not_repeated_in_errors(tmp_path, capsys, monkeypatch):
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO("kapok1.c2VjcmV0LXRva2Vu\n"))
    assert run(["enroll", "-", "--home", str(tmp_path)]) == 8
    assert "c2VjcmV0" not in said(capsys)[1]
