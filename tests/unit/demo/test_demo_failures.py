"""The demonstration says what it lacks before it begins, and what failed when something does."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from kapok.demo.pooled import pooled_answer
from kapok.demo.processes import Finished, call
from kapok.demo.story import ask, tell
from kapok.errors import InternalError, InvalidInput, NotFound


def test_a_key_of_another_size_is_refused_before_anything_starts(tmp_path):
    with pytest.raises(InvalidInput) as caught:
        tell(keep=tmp_path / "kept", bits=1024)
    assert caught.value.code == "bad_key_bits"
    assert "2048, 3072 or 4096" in caught.value.remedy
    assert not (tmp_path / "kept").exists()


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").touch()
    for keep in (tmp_path / "file" / "x", Path("/proc/kapok-demo")):
        with pytest.raises(InvalidInput) as caught:
            tell(keep=keep)
        assert (caught.value.code, caught.value.exit_status) == ("bad_folder", 3)
        assert str(keep) in caught.value.message


def test_without_duckdb_there_is_no_pooled_truth(monkeypatch):
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(NotFound) as caught:
        pooled_answer("SELECT COUNT(*) FROM heart", None, [])
    assert caught.value.code == "no_duckdb"


def test_a_question_writes_no_file_that_is_gone_when_the_demonstration_ends(tmp_path):
    typed = []

    def failing(*arguments, show_progress):
        typed.append(arguments)
        return Finished(1, "", "no", None)

    with pytest.raises(InternalError):
        ask(SimpleNamespace(analyst=tmp_path, kapok=failing), "SELECT COUNT(*) FROM heart", "--seal", "pad")
    assert typed == [("query", "SELECT COUNT(*) FROM heart", "--seal", "pad")]


def test_a_question_that_fails_is_told_with_the_commands_own_words(tmp_path):
    network = SimpleNamespace(
        analyst=tmp_path, kapok=lambda *arguments, show_progress: call(arguments, tmp_path)
    )
    with pytest.raises(InternalError) as caught:
        ask(network, "SELECT COUNT(*) FROM heart")
    assert caught.value.code == "demo_failed"
    assert "[no_profile]" in caught.value.message
