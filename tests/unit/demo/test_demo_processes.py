"""Processes are started, watched and ended, whatever they do."""

import pytest

from kapok.demo.processes import Daemon, call, environment, peak_memory
from kapok.errors import InternalError


def test_surroundings_do_not_reach_into_the_demonstration(monkeypatch):
    monkeypatch.setenv("KAPOK_HOME", "/somewhere")
    monkeypatch.setenv("OTHER", "kept")
    assert "KAPOK_HOME" not in environment()
    assert environment()["OTHER"] == "kept"


def test_daemon_that_cannot_start_is_told_with_its_last_words(tmp_path):
    daemon = Daemon("broker", ["broker", "run"], tmp_path)
    daemon.start()
    with pytest.raises(InternalError, match="identity") as caught:
        daemon.wait_ready()
    assert caught.value.code == "not_ready"
    assert daemon.stop() == 5
    assert daemon.pid is None
    daemon.stop()
    daemon.kill()


def test_command_is_run_to_its_end(tmp_path):
    done = call(["--version"], tmp_path)
    assert done.status == 2  # the root takes no --home
    with pytest.raises(InternalError, match=r"exit status 2: .*usage") as caught:
        done.document()
    assert caught.value.code == "no_document"
    assert "Traceback" not in done.stderr
    assert call(["job", "list"], tmp_path).status == 5


def test_memory_of_nobody_is_unknown():
    assert peak_memory(2**22 + 1) is None
