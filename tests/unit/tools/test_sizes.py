"""`make lint` fails on a function or a file that is too long, and counts as CONTRIBUTING says."""

import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "sizes.py"


def function(lines, docstring=0, decorators=0, prefix=""):
    """The text of a function of so many lines, its docstring's and decorators' not counted."""
    says = ['    """Says.', *["    more"] * (docstring - 2), '    """'] if docstring else []
    return (
        "\n".join(["@decorated"] * decorators + [f"{prefix}def work():"] + says + ["    x = 1"] * (lines - 1))
        + "\n"
    )


def checked(folder, text):
    (folder / "given.py").write_text(text)
    ran = subprocess.run([sys.executable, TOOL, folder], capture_output=True, text=True)
    assert ran.stderr == ""
    return ran.returncode, ran.stdout


@pytest.mark.parametrize("prefix", ["", "async "])
@pytest.mark.parametrize(("lines", "status"), [(50, 0), (51, 1)])
def test_a_function_has_50_lines_without_its_docstring_and_decorators(tmp_path, lines, status, prefix):
    found, said = checked(tmp_path, function(lines, docstring=30, decorators=3, prefix=prefix))
    assert found == status
    assert ("given.py:4: work has 51 lines, at most 50" in said) == bool(status)


def test_a_method_and_a_function_within_a_function_are_seen(tmp_path):
    indented = "".join(f"    {line}\n" for line in function(60).splitlines())
    assert checked(tmp_path, "class A:\n" + indented)[0] == 1
    assert checked(tmp_path, "def outer():\n" + indented)[1].count("at most 50") == 2


@pytest.mark.parametrize(("lines", "status"), [(500, 0), (501, 1)])
def test_a_file_has_500_lines(tmp_path, lines, status):
    assert checked(tmp_path, "x = 1\n" * lines)[0] == status
