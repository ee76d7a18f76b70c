"""Say which functions are longer than 50 lines without their docstring, and which files longer than 500.

python tests/tools/sizes.py [FOLDER…]    fail if there are any; without a folder, look at all of the code
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("sdk", "protocols", "broker", "nodes", "benchmarks", "examples", "tests")
GENERATED = ROOT / "sdk/kapok/wire/v1"
MOST_LINES_OF_FILE = 500
MOST_LINES_OF_FUNCTION = 50


def long_functions(text: str) -> Iterator[tuple[int, str, int]]:
    """Line, name and length of each function that is too long; a function within another counts for both."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if ast.get_docstring(node, clean=False) is not None:
                docstring = node.body[0]
                lines -= (docstring.end_lineno or docstring.lineno) - docstring.lineno + 1
            if lines > MOST_LINES_OF_FUNCTION:
                yield node.lineno, node.name, lines


def findings(path: Path) -> Iterator[str]:
    """What is too long in one file, for people."""
    text = path.read_text(encoding="utf-8")
    length = len(text.splitlines())
    if length > MOST_LINES_OF_FILE:
        yield f"{path}: {length} lines, at most {MOST_LINES_OF_FILE}"
    for line, name, lines in long_functions(text):
        yield f"{path}:{line}: {name} has {lines} lines, at most {MOST_LINES_OF_FUNCTION}"


def main(folders: list[Path]) -> int:
    """The exit status."""
    paths = [
        path for folder in folders for path in sorted(folder.rglob("*.py")) if GENERATED not in path.parents
    ]
    found = [finding for path in paths for finding in findings(path)]
    print("\n".join(found) or f"{len(paths)} files: none is too long, and no function in them")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main([Path(folder) for folder in sys.argv[1:]] or [ROOT / folder for folder in FOLDERS]))
