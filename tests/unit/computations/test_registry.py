"""The registry of computations, and that asking costs nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest

from kapok.computations import computation
from kapok.computations.registry import known_operations
from kapok.documents.dataset import Dataset
from kapok.errors import InvalidInput


def test_finds_the_query(heart: Dataset) -> None:
    query = computation("query")
    asked = query.parse("select count(*) from heart", heart)
    assert asked.text == "SELECT COUNT(*) FROM heart"
    assert asked.words == 2
    assert asked.rounds == 1
    assert set(asked.operations) <= set(query.operations) <= known_operations()
    assert query.answer(asked, heart, [12, 0]).rows == ((12,),)


@pytest.mark.parametrize("name", ["", "gml", "Query", "kapok.computations.query"])
def test_refuses_what_it_does_not_have(name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        computation(name)
    assert caught.value.code == "unknown_computation"


def test_imports_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "import kapok.computations, kapok.computations.query.params, kapok.computations.query.analyst\n"
        "print(sorted({'sqlglot', 'duckdb', 'pyarrow', 'pandas', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
