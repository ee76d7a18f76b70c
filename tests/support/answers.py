"""Three holders, and an analyst who knows two of them and learns what the answers tell of the third."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import duckdb
import msgspec
import numpy as np

from kapok.computations import Thresholds
from kapok.computations.query.analyst import answer
from kapok.computations.query.holder import contribute
from kapok.computations.query.reading import read_question
from kapok.documents.dataset import Column, Dataset
from support.table_attacker import bounds_by_flow

CARRIERS = ("9E", "AA", "AS", "B6", "DL", "EV", "F9", "FL", "HA", "MQ", "OO", "UA", "US", "VX", "WN", "YV")
WARDS = ("a", "b", "c")
DATASET = Dataset(
    name="stays",
    rows_max=10**6,
    columns=(
        Column(name="ward", type="text", domain=WARDS),
        Column(name="carrier", type="text", domain=CARRIERS),
        Column(name="stage", type="integer", domain=(1, 2, 3, 4)),
        Column(name="year", type="integer", domain=(2023, 2024)),
        Column(name="ill", type="boolean"),
        Column(name="person", type="integer", minimum=0, maximum=10**6),
        Column(name="cost", type="integer", minimum=0, maximum=10**6),
        Column(name="note", type="integer", minimum=0, maximum=10, nullable=True),
    ),
)


class Holder:
    """A table in DuckDB: so many rows of given values; what is not given is the same in all rows."""

    dialect = "duckdb"

    def __init__(self, rows: Sequence[tuple[int, dict[str, object]]]) -> None:
        self.connection = duckdb.connect(config={"threads": 1})
        self.connection.execute(
            "CREATE TABLE source (ward TEXT, carrier TEXT, stage BIGINT, year BIGINT, ill BOOLEAN, "
            "person BIGINT, cost BIGINT, note BIGINT)"
        )
        first = 0
        for count, given in rows:
            values = {
                "ward": "a",
                "carrier": "9E",
                "stage": 1,
                "year": 2023,
                "ill": False,
                "cost": 10,
                "note": 1,
                **given,
            }
            self.connection.execute(
                f"INSERT INTO source SELECT $ward, $carrier, $stage, $year, $ill, {first} + i, $cost, $note "
                f"FROM range({count}) AS t(i)",
                values,
            )
            first += count

    def fetch(self, select_sql: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(select_sql).fetchall()


class Analyst:
    """Asks three holders, and knows all of the last two."""

    def __init__(self, target: Holder, others: Sequence[Holder], empty: str = "show", **rules: Any) -> None:
        self.dataset = msgspec.structs.replace(DATASET, empty_cells=empty)
        self.holders = [target, *others]
        self.thresholds = Thresholds(0, 10, **rules)

    def ask(self, sql: str) -> list[dict[str, Any]]:
        """The answer of all three."""
        return self._ask(sql, self.holders, self.dataset, self.thresholds)

    def known(self, sql: str) -> list[dict[str, Any]]:
        """What the two that it knows would answer, if they had nothing to hide."""
        showing = msgspec.structs.replace(self.dataset, empty_cells="show")
        return self._ask(sql, self.holders[1:], showing, Thresholds(0, 0))

    def _ask(self, sql, holders, dataset, thresholds):
        question = read_question(sql, dataset)
        total = None
        for holder in holders:
            words = contribute(question, dataset, holder, thresholds)
            total = words if total is None else total.add(words)
        return answer(question, dataset, total.to_integers()).to_dicts()

    def learns(self, sql: str, keys: Sequence[str] = ()) -> dict[tuple[Any, ...], dict[str, Any]]:
        """By group, what it learns of the target: the answer less what it knows; None where it is hidden."""

        def by_key(rows):
            return {tuple(row[key] for key in keys): row for row in rows}

        answered, known = by_key(self.ask(sql)), by_key(self.known(sql))
        return {
            key: {
                name: None if value is None else value - (known.get(key, {}).get(name) or 0)
                for name, value in row.items()
                if name not in keys
            }
            for key, row in answered.items()
        }

    def bounds(self, axes: Sequence[str], cell: tuple[Any, ...]) -> tuple[int, int]:
        """Exact bounds of the target's size of a cell, from all tables over some of the axes, asked apart."""
        values = [self.dataset.column(axis).domain for axis in axes]
        truth = np.zeros([len(each) for each in values], dtype=np.int64)
        for *key, count in self.holders[0].fetch(
            f"SELECT {', '.join(axes)}, COUNT(*) FROM source GROUP BY ALL"
        ):
            truth[tuple(each.index(value) for each, value in zip(values, key, strict=True))] = count
        pattern = {}
        every = tuple(range(len(axes)))
        for kept in (kept for order in range(len(axes) + 1) for kept in combinations(every, order)):
            names = [axes[axis] for axis in kept]
            grouped = f"GROUP BY {', '.join(names)}" if names else ""
            learnt = self.learns(f"SELECT {', '.join([*names, 'COUNT(*) AS n'])} FROM stays {grouped}", names)
            margin = truth.sum(axis=tuple(set(every) - set(kept)))
            pattern[kept] = np.zeros(margin.shape, dtype=bool)
            for at in np.ndindex(margin.shape):
                key = tuple(values[axis][place] for axis, place in zip(kept, at, strict=True))
                # A group that is left out has no rows anywhere.
                shown = learnt.get(key, {"n": 0})["n"]
                pattern[kept][at] = shown is None
                assert shown in (None, margin[at])
        place = tuple(each.index(value) for each, value in zip(values, cell, strict=True))
        return bounds_by_flow(truth, pattern, place) if pattern[every][place] else (truth[place],) * 2


def spread(count: int, *axes: str, **given: object) -> list[tuple[int, dict[str, object]]]:
    """So many rows in each cell of the axes."""
    rows: list[dict[str, object]] = [given]
    for axis in axes:
        rows = [{**row, axis: value} for row in rows for value in DATASET.column(axis).domain or ()]
    return [(count, row) for row in rows]
