"""`kapok key rotate`."""

import json

import pytest

from kapok.cli.app import run
from kapok.client.jobs import JobFolder, JobRecord


@pytest.fixture
def home(tmp_path):
    (tmp_path / "analyst.toml").write_text('broker = "127.0.0.1:1"\nkey_bits = 2048\n')
    return tmp_path


def test_key_is_made_and_replaced(home, capsys):
    assert run(["key", "rotate", "--json", "--home", str(home)]) == 0
    first = json.loads(capsys.readouterr().out)
    assert (first["bits"], first["profile"]) == (2048, "standard")
    assert run(["key", "rotate", "--home", str(home)]) == 0
    said = capsys.readouterr().out
    assert "2048 bits" in said
    assert first["key_id"][:16] not in said


def test_open_jobs_keep_the_key_unless_forced(home, capsys):
    record = JobRecord(
        job_id="ab" * 32, sql="SELECT", specification="", dataset=b"", submitted_at=0.0, receiver_key=b"k"
    )
    JobFolder(home / "jobs").save(record)
    assert run(["key", "rotate", "--home", str(home)]) == 3
    said = capsys.readouterr()
    assert "[open_jobs]" in said.err
    assert "1 job has not been fetched" in said.err
    assert "`kapok job wait abababababab --home" in said.err
    assert not (home / "result-key.json").exists()
    assert run(["key", "rotate", "--force", "--home", str(home)]) == 0


def test_a_damaged_job_file_is_named_and_does_not_stop_force(home, capsys):
    (home / "jobs").mkdir(mode=0o700)
    path = home / "jobs" / f"{'cd' * 32}.json"
    path.write_text('{"x":1}')
    assert run(["key", "rotate", "--home", str(home)]) == 3
    said = capsys.readouterr().err
    assert "[bad_job_file]" in said
    assert f"rm {path}" in said
    assert not (home / "result-key.json").exists()
    assert run(["key", "rotate", "--force", "--home", str(home)]) == 0
    assert (home / "result-key.json").exists()
