"""Where a question comes from."""

import io
import sys
from types import SimpleNamespace

import click
import pytest

from kapok.cli.app import run
from kapok.cli.asking import question_of
from kapok.errors import InvalidInput, NotFound

SQL = "SELECT COUNT(*)\nFROM heart;\n"


@pytest.fixture
def standard_input(monkeypatch):
    def give(content: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))

    return give


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte order mark"])
def test_question_is_read_from_argument_file_or_standard_input(tmp_path, standard_input, mark):
    file = tmp_path / "question.sql"
    file.write_bytes(mark + SQL.encode())
    assert question_of(SQL, None) == SQL
    assert question_of(None, file) == SQL
    for given in (("-", None), (None, type(file)("-"))):
        standard_input(mark + SQL.encode())
        assert question_of(*given) == SQL


def test_two_questions_or_none_are_wrong_use(tmp_path):
    for given in ((None, None), (SQL, tmp_path / "question.sql")):
        with pytest.raises(click.UsageError):
            question_of(*given)


@pytest.mark.parametrize(
    ("content", "why"), [(b"\xff\xfe", "UTF-8"), (b" " * (2**20 + 1), "longer")], ids=["no text", "too long"]
)
def test_what_is_no_question_is_refused(tmp_path, standard_input, content, why):
    file = tmp_path / "question.sql"
    file.write_bytes(content)
    with pytest.raises(InvalidInput, match=why) as caught:
        question_of(None, file)
    assert caught.value.code == "bad_question_file"
    standard_input(content)
    with pytest.raises(InvalidInput, match=why):
        question_of("-", None)


def test_missing_files_and_folders_are_named(tmp_path):
    with pytest.raises(NotFound, match=r"none\.sql") as caught:
        question_of(None, tmp_path / "none.sql")
    assert caught.value.code == "no_question_file"
    with pytest.raises(InvalidInput, match="directory"):
        question_of(None, tmp_path)


def test_command_says_which_exit_status(tmp_path, capsys):
    assert run(["query", "-f", str(tmp_path / "none.sql")]) == 5
    assert run(["query"]) == 2
    assert "give one question" in capsys.readouterr().err
