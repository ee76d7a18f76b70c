"""The kernel keeps to calls that NumPy and CuPy share: the calls are looked at, nothing runs on CuPy."""

from __future__ import annotations

import ast
import inspect

from kapok.protocols.arithmetic import kernel

# Functions that CuPy 13 documents, with the keywords that it takes.
MAKE_ARRAYS = {"asarray": {"dtype"}, "zeros": {"dtype"}}
COPY = {"copyto": {"casting"}}
COMPUTE = {name: {"out"} for name in ("add", "floor", "matmul", "multiply", "rint", "subtract")}
TYPES = {"float32", "float64", "uint8"}


def calls() -> list[tuple[str, set[str | None]]]:
    """Each call of NumPy in the kernel: the function's name, and its keywords."""
    return [
        (node.func.attr, {keyword.arg for keyword in node.keywords})
        for node in ast.walk(ast.parse(inspect.getsource(kernel)))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_numpy(node.func.value)
    ]


def _is_numpy(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "np"


def test_nothing_else_of_numpy_is_named():
    named = {
        node.attr
        for node in ast.walk(ast.parse(inspect.getsource(kernel)))
        if isinstance(node, ast.Attribute) and _is_numpy(node.value)
    }
    assert named - TYPES == (MAKE_ARRAYS | COPY | COMPUTE).keys()


def test_calls_have_keywords_that_both_take_and_results_have_their_room():
    """Every operation writes with `out`: no array is made while a block is worked on."""
    assert calls()
    for name, keywords in calls():
        if name in COMPUTE:
            assert keywords == COMPUTE[name], name
        else:
            assert keywords <= (MAKE_ARRAYS | COPY)[name], name
