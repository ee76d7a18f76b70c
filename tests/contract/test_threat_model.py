"""The threat model's table of attacks and tests/attacks say the same: nothing claimed that is not tried."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TABLE = (
    (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8").partition("## Attacks that were tried")[2]
)
PATTERNS = sorted(set(re.findall(r"`(test_\w+…?)`", TABLE)))
TESTS = sorted(
    node.name
    for path in (ROOT / "tests" / "attacks").glob("test_*.py")
    for node in ast.parse(path.read_text(encoding="utf-8")).body
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
)


def covers(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("…") else name == pattern


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_test_that_the_page_names_exists(pattern):
    assert any(covers(pattern, name) for name in TESTS)


@pytest.mark.parametrize("name", TESTS)
def test_the_page_names_every_attack_test(name):
    assert any(covers(pattern, name) for pattern in PATTERNS)
