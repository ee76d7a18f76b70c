"""The branches inside what is summed."""

from __future__ import annotations

import pytest

from kapok.computations.language.clauses import read_statement
from kapok.computations.language.syntax import Aggregate
from kapok.computations.language.writing import write
from kapok.computations.query.disclosure.branches import branches_of


def numbers(summed: str) -> list[tuple[str, int]]:
    aggregate = read_statement(f"SELECT SUM({summed}) FROM tiny").selected[0].expression
    assert isinstance(aggregate, Aggregate)
    return [(write(one.number), one.count) for one in branches_of(aggregate.arguments[0])]


@pytest.mark.parametrize(
    ("summed", "found"),
    [
        ("age + 1", []),
        ("CASE WHEN ill THEN age END", [("CASE WHEN ill THEN 1 ELSE 2 END", 2)]),
        (
            "1 + CASE ward WHEN 'a' THEN 5 WHEN 'b' THEN 6 ELSE 7 END",
            [("CASE WHEN ward = 'a' THEN 1 WHEN ward = 'b' THEN 2 ELSE 3 END", 3)],
        ),
        ("age * NULLIF(stage, 3)", [("CASE WHEN stage = 3 THEN 1 ELSE 2 END", 2)]),
        # A branch inside of another one is of that one's rows alone.
        (
            "CASE WHEN ill THEN age ELSE CASE WHEN old THEN 1 ELSE 2 END END",
            [
                ("CASE WHEN ill THEN 1 ELSE 2 END", 2),
                (
                    "CASE WHEN CASE WHEN ill THEN 1 ELSE 2 END <> 2 THEN 0 WHEN old THEN 1 ELSE 2 END",
                    2,
                ),
            ],
        ),
    ],
)
def test_branches_are_numbered(summed, found):
    assert numbers(summed) == found
