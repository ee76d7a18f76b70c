"""Types hold for users: mypy, strict, over the programs beside this file, as a user of Kapok runs it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import kapok.client

HERE = Path(__file__).parent
RIGHT, WRONG = "uses_the_client.py", "misuses_the_client.py"
PACKAGES = [Path(root) / "kapok" for root in ("sdk", "protocols", "broker", "nodes")]
ERROR = re.compile(r"(?P<file>[^:]+):(?P<line>\d+): error: .*\[(?P<code>[a-z-]+)\]\Z")
MARK = re.compile(r"# rejected: (?P<code>[a-z-]+)\Z")


@pytest.fixture(scope="module")
def found(tmp_path_factory, request) -> dict[str, dict[int, str]]:
    """What mypy finds: by program and line, the code. No configuration of this repository is read."""
    project = tmp_path_factory.mktemp("user")
    for program in (RIGHT, WRONG):
        shutil.copy(HERE / program, project)
    cache = request.config.cache.mkdir("mypy")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={cache}", "."]
    finished = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    lines = [line for line in finished.stdout.splitlines() if ": error: " in line]
    assert finished.returncode == (1 if lines else 0), finished.stdout + finished.stderr
    errors: dict[str, dict[int, str]] = {}
    for line in lines:
        match = ERROR.match(line)
        assert match, line
        errors.setdefault(match["file"], {})[int(match["line"])] = match["code"]
    return errors


def test_right_use_is_accepted_and_its_types_are_known(found):
    assert found.get(RIGHT) is None


def test_each_wrong_use_is_rejected_where_it_stands(found):
    lines = (HERE / WRONG).read_text(encoding="utf-8").splitlines()
    marked = {number: mark["code"] for number, line in enumerate(lines, 1) if (mark := MARK.search(line))}
    assert marked
    assert found.get(WRONG) == marked


def test_every_package_says_that_it_has_types():
    root = Path(kapok.client.__file__).parents[3]
    for folder in PACKAGES:
        for package in (root / folder).iterdir():
            if (package / "__init__.py").is_file():
                assert (package / "py.typed").is_file(), package
