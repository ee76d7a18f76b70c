"""A room's page, the docstring of its package, names every module in it: whoever enters finds the way."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = sorted(
    path.parent
    for source in ("sdk", "protocols", "broker", "nodes")
    for path in (ROOT / source).rglob("__init__.py")
    if path.parent.name not in {"v1", "migrations"}
)
KINDS = ROOT / "sdk" / "kapok" / "computations"


def page(room):
    """The words of a package's docstring."""
    docstring = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8"))) or ""
    return set(re.findall(r"\w+", docstring))


def modules(room):
    """What lies in a room: modules, and rooms in it."""
    found = {path.stem for path in room.glob("*.py")} | {
        path.parent.name for path in room.glob("*/__init__.py")
    }
    return found - {"__init__", "__main__", "v1", "migrations"}


GRAMMAR = {"params", "holder", "analyst", "entry", "formula", "coefficients", "report", "view"}


def test_the_grammar_of_all_kinds_of_questions_is_on_their_common_page():
    assert page(KINDS) >= GRAMMAR


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: str(room.relative_to(ROOT)))
def test_a_rooms_page_names_all_that_lies_in_it(room):
    told = page(room) | (GRAMMAR if room.parent == KINDS else set())
    assert modules(room) - told == set()
