"""Everything that the broker stored while questions were answered, byte for byte: nothing of it is anybody's.

Triggers in the broker's own database copy every sealed chunk and every chunk of a sum as it is stored, for
the broker deletes them soon. With seal ``pad`` these bytes are the masked words themselves.
"""

import itertools
import sqlite3
from contextlib import closing, contextmanager

import duckdb
import pytest

from kapok.computations.engines import Thresholds
from kapok.computations.query.holder import contribute
from kapok.computations.query.reading import read_question
from kapok.demo.hospitals import QUESTIONS
from kapok.documents.dataset import Dataset
from kapok.protocols.words import WordVector

SQL = QUESTIONS[0]
TABLES = {"sealed": ("sealed_chunk", "vector"), "summed": ("sum_chunk", "attempt")}


class Beside:
    """An engine over one hospital's file."""

    dialect = "duckdb"

    def __init__(self, schema: Dataset, path) -> None:
        self._connection = duckdb.connect()
        types = {"integer": "BIGINT", "decimal": "DECIMAL(18, 6)"}
        casts = ", ".join(f"CAST({one.name} AS {types[one.type]}) AS {one.name}" for one in schema.columns)
        names = [one.name for one in schema.columns]
        self._connection.execute(
            f"CREATE TABLE source AS SELECT {casts} FROM "
            "read_csv($file, header = false, all_varchar = true, nullstr = '?', names = $names)",
            {"file": str(path), "names": names},
        )

    def fetch(self, select_sql: str):
        return self._connection.execute(select_sql).fetchall()


@pytest.fixture
def contributions(network) -> dict[str, WordVector]:
    """What each hospital adds to the sum, computed here as its node does."""
    schema = Dataset.from_toml(network.analyst / "heart.toml")
    question = read_question(SQL, schema)
    return {
        name: contribute(
            question,
            schema,
            Beside(schema, node.home / f"processed.{name}.data"),
            Thresholds(min_rows=20, min_cell=5),
        )
        for name, node in network.nodes.items()
    }


@contextmanager
def recording(network):
    """The broker's database with triggers that keep what it deletes."""
    with closing(sqlite3.connect(network.broker.home / "broker.db", timeout=10)) as connection:
        connection.execute("CREATE TABLE seen (what TEXT, owner INTEGER, body BLOB)")
        for name, (table, owner) in TABLES.items():
            connection.execute(
                f"CREATE TRIGGER keep_{name} AFTER INSERT ON {table} "
                f"BEGIN INSERT INTO seen VALUES ('{name}', new.{owner}, new.body); END"
            )
        connection.commit()
        try:
            yield connection
        finally:
            for name in TABLES:
                connection.execute(f"DROP TRIGGER keep_{name}")
            connection.execute("DROP TABLE seen")
            connection.commit()


def stored_vectors(connection, what: str) -> list[bytes]:
    rows = connection.execute(
        "SELECT owner, body FROM seen WHERE what = ? ORDER BY rowid", (what,)
    ).fetchall()
    return [
        b"".join(bytes(body) for _owner, body in group)
        for _key, group in itertools.groupby(rows, key=lambda row: row[0])
    ]


def every_byte_of(network) -> bytes:
    files = [*network.broker.home.glob("broker.db*"), network.broker.log]
    return b"".join(path.read_bytes() for path in files)


def test_nothing_that_the_broker_stored_is_a_contribution_or_the_sum(network, contributions):
    words = list(contributions.values())
    total = words[0].add(*words[1:])
    with recording(network) as connection:
        answer = network.kapok("query", SQL, "--seal", "pad", "--json").document()
        assert network.kapok("query", SQL, "--seal", "pad", "--json").status == 0
        sealed, sums = stored_vectors(connection, "sealed"), stored_vectors(connection, "summed")
        everything = every_byte_of(network)
    assert total.to_integers()[0] == answer["rows"][0][0] == 920
    assert (len(sealed), len(sums)) == (8, 2)
    size = len(total.to_bytes())
    tag_bytes = words[0].bits // 8 + 8
    assert {len(vector) for vector in sealed + sums} == {size + tag_bytes}
    # The search below can find a vector: what was stored is found.
    assert [vector[:size] in everything for vector in sealed] == [True] * 8
    masked = [WordVector.from_bytes(vector[:size], words[0].bits) for vector in sealed + sums]
    for own in (*words, total):
        assert own.to_bytes() not in everything
        # A single small number followed by zeros is all over any file; two of them side by side are not.
        for count, summed in itertools.pairwise(own.to_integers()):
            if count and summed:
                pair = WordVector.from_integers([count, summed], words[0].bits).to_bytes()
                assert pair not in everything
        assert own not in masked
    assert len({vector.to_bytes() for vector in masked}) == len(masked)


def test_neither_differences_nor_partial_sums_of_what_was_stored_are_contributions(network, contributions):
    with recording(network) as connection:
        assert network.kapok("query", SQL, "--seal", "pad", "--json").status == 0
        sealed = stored_vectors(connection, "sealed")
    words = list(contributions.values())
    size = len(words[0].to_bytes())
    masked = [WordVector.from_bytes(vector[:size], words[0].bits) for vector in sealed]
    sums_of_truth = {
        members[0].add(*members[1:]).to_bytes() if len(members) > 1 else members[0].to_bytes()
        for count in range(1, 5)
        for members in itertools.combinations(words, count)
    }
    for count in range(1, 5):
        for members in itertools.combinations(masked, count):
            summed = members[0].add(*members[1:]) if count > 1 else members[0]
            assert summed.to_bytes() not in sums_of_truth
    differences = {one.subtract(two).to_bytes() for one, two in itertools.permutations(words, 2)}
    for one, two in itertools.permutations(masked, 2):
        assert one.subtract(two).to_bytes() not in differences


def test_answers_are_nowhere_in_what_the_broker_stored_or_logged(network):
    answer = network.kapok("query", "SELECT AVG(age), AVG(thalach) FROM heart", "--json").document()
    everything = every_byte_of(network)
    for value in answer["rows"][0]:
        assert f"{value:.6f}"[:-1].encode() not in everything
    assert answer["job"].encode() in everything
