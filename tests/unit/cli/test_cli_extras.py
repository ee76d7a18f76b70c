"""A light installation says what to install, and nothing else is taken for it."""

import subprocess
import sys

import pytest

from kapok.cli.extras import missing_extra


@pytest.mark.parametrize(
    ("module", "command", "extra"),
    [
        ("sqlalchemy", ["broker", "run"], "kapok[broker]"),
        ("alembic.command", ["authority", "init", "a.example"], "kapok[authority]"),
        ("duckdb", ["node", "check"], "kapok[node]"),
        ("duckdb", ["demo"], "kapok[all]"),
    ],
)
def test_the_extra_is_named(module, command, extra):
    error = missing_extra(ModuleNotFoundError("none", name=module), command)
    assert error is not None
    assert error.code == "extra_missing"
    assert extra in error.remedy


def test_a_module_that_no_extra_brings_is_a_defect():
    assert missing_extra(ModuleNotFoundError("none", name="kapok.gone"), ["demo"]) is None


def test_the_command_line_says_so(tmp_path):
    """The library is hidden from the interpreter as if it had never been installed."""
    program = (
        "import sys; sys.modules['sqlalchemy'] = None; from kapok.cli.app import run; "
        f"sys.exit(run(['authority', 'init', 'a.example', '--home', {str(tmp_path / 'a')!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "kapok[authority]" in done.stderr
    assert "Traceback" not in done.stderr
