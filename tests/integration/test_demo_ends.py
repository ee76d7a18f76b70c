"""The demonstration cleans up after itself, however it ends."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kapok.demo.processes import environment


def processes_of(folder: Path) -> list[str]:
    """Command lines of running processes that name the folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(folder) in line:
            found.append(line)
    return found


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc to find processes")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_demo_leaves_no_process(tmp_path, until, number):
    folder = tmp_path / "kept"
    command = [sys.executable, "-m", "kapok.cli", "demo", "--json", "--bits", "2048", "--keep", str(folder)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    )
    until(lambda: any("broker run" in line for line in processes_of(folder / "broker")))
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in stdout + stderr
    assert processes_of(folder) == []


def test_demo_refuses_a_folder_that_is_not_empty(tmp_path):
    (tmp_path / "something").touch()
    command = [sys.executable, "-m", "kapok.cli", "demo", "--json", "--keep", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode == 3
    assert json.loads(done.stderr)["error"]["code"] == "not_empty"
    assert "Traceback" not in done.stderr
