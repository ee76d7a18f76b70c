"""Every code that an error can bear is named by a test: a refusal that nobody has seen happen is a claim."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import kapok.errors
from kapok.errors import KapokError, is_code

ROOT = Path(__file__).parents[2]
SOURCES = ("sdk", "protocols", "broker", "nodes")

UNTESTED: dict[str, str] = {}
"""Codes that no test names, each with the reason. Better write the test."""

_CLASSES = {
    name: found
    for name, found in vars(kapok.errors).items()
    if isinstance(found, type) and issubclass(found, KapokError)
}


def trees(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "v1" not in path.parts:
                yield str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))


def texts(node: ast.AST) -> Iterator[str]:
    for one in ast.walk(node):
        if isinstance(one, ast.Constant) and isinstance(one.value, str):
            yield one.value


def places_of(tree: ast.Module) -> dict[str, int]:
    """Functions that are given a code, and as which argument."""
    found = {}
    for one in ast.walk(tree):
        if isinstance(one, ast.FunctionDef):
            names = [argument.arg for argument in one.args.args if argument.arg not in ("self", "cls")]
            if "code" in names:
                found[one.name] = names.index("code")
    return found


def codes_of(tree: ast.Module) -> Iterator[str]:
    """The codes that a module's calls give to errors: by keyword, by a helper's parameter, by the class."""
    places = PUBLIC_PLACES | places_of(tree)
    for call in ast.walk(tree):
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name | ast.Attribute)):
            continue
        name = call.func.id if isinstance(call.func, ast.Name) else call.func.attr
        given = [one.value for one in call.keywords if one.arg == "code"]
        if name in places:
            given += call.args[places[name] : places[name] + 1]
        for one in given:
            yield from (text for text in texts(one) if is_code(text))
        if name in _CLASSES and not given:
            yield _CLASSES[name].default_code


PUBLIC_PLACES = {
    name: place
    for _, _tree in trees(*SOURCES)
    for name, place in places_of(_tree).items()
    if not name.startswith("_")
}
CODES: dict[str, str] = {}
for _path, _tree in trees(*SOURCES):
    for _code in codes_of(_tree):
        CODES.setdefault(_code, _path)

NAMED = {
    text.strip("[]")
    for path, tree in trees("tests")
    if path != str(Path(__file__).relative_to(ROOT))
    for text in texts(tree)
}


def test_the_codes_were_found():
    assert len(CODES) > 200
    assert {"unknown_computation", "bad_tag_seed", "not_authorised"} <= CODES.keys()


@pytest.mark.parametrize("code", sorted(CODES))
def test_a_code_is_named_by_a_test_or_there_is_a_reason(code):
    assert code in NAMED or code in UNTESTED, f"no test names {code}, raised in {CODES[code]}"


def test_the_list_of_what_is_not_tested_has_nothing_else():
    assert UNTESTED.keys() <= CODES.keys() - NAMED
