"""Statements that are compiled once: their values, their lists, and the transactions that they are run in."""

import contextlib
import sqlite3

import pytest
import sqlalchemy as sa

from kapok.persistence import Connection, Database, Prepared, _engine

SHEEP = sa.Table(
    "sheep",
    sa.MetaData(),
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("age", sa.Integer),
    sa.Column("shorn", sa.Boolean),
)
ADD = Prepared(SHEEP.insert())
NAMED = Prepared(
    sa.select(SHEEP.c.name, SHEEP.c.shorn)
    .where(SHEEP.c.name.in_(sa.bindparam("names", expanding=True)), SHEEP.c.age >= sa.bindparam("least"))
    .order_by(SHEEP.c.name)
)
OLD_OR_DOLLY = Prepared(
    sa.select(SHEEP.c.name).where((SHEEP.c.age > 6) | SHEEP.c.name.in_(["dolly", "polly"])).order_by("name")
)
CHANGE = Prepared(SHEEP.update().where(SHEEP.c.name == sa.bindparam("of_name")))
COUNT = Prepared(sa.select(sa.func.count()).select_from(SHEEP))


@pytest.fixture
def flock(tmp_path):
    engine, _shown = _engine(tmp_path / "flock.db", 4096, None)
    SHEEP.metadata.create_all(engine)
    found = Database(engine)
    with found.writing() as connection:
        connection.change_each(
            ADD,
            [
                {"name": "dolly", "age": 6, "shorn": True},
                {"name": "molly", "age": 7, "shorn": False},
                {"name": "polly", "age": 2, "shorn": None},
            ],
        )
    yield found
    found.close()


def test_lists_of_any_length_and_values_that_the_statement_has_itself(flock):
    with flock.reading() as connection:
        for names in (["dolly", "molly", "polly"], ["polly"], [], ["molly", "dolly"]):
            found = connection.rows(NAMED, {"names": names, "least": 5})
            assert [row.name for row in found] == sorted(set(names) - {"polly"})
        assert [row[0] for row in connection.rows(OLD_OR_DOLLY)] == ["dolly", "molly", "polly"]


def test_lists_of_many_lengths_make_few_forms(flock):
    named = Prepared(sa.select(SHEEP.c.name).where(SHEEP.c.name.in_(sa.bindparam("names", expanding=True))))
    with flock.reading() as connection:
        for length in range(300):
            names = [f"nobody {number}" for number in range(length)] + ["dolly"]
            assert [tuple(row) for row in connection.rows(named, {"names": names})] == [("dolly",)]
    assert len(named._forms) == 10


def test_as_many_values_as_sqlite_takes(flock):
    names = [f"nobody {number}" for number in range(32_765)]
    with flock.reading() as connection:
        for some in (names, names[:16_385], names[:16_384], names[:16_383]):
            found = connection.rows(NAMED, {"names": [*some[:-1], "molly"], "least": 5})
            assert [row.name for row in found] == ["molly"]


def test_booleans_are_such(flock):
    with flock.reading() as connection:
        found = connection.rows(sa.select(SHEEP.c.shorn).order_by(SHEEP.c.name))
        assert [row.shorn for row in found] == [True, False, None]
        assert found[0].shorn is True
        assert connection.value(NAMED, {"names": ["nobody"], "least": 0}) is None


def test_which_columns_are_written_the_values_say(flock):
    with flock.writing() as connection:
        assert connection.change(CHANGE, {"of_name": "dolly", "age": 7}) == 1
        assert connection.change(CHANGE, {"of_name": "dolly", "shorn": False}) == 1
        assert connection.change(CHANGE, {"of_name": "nobody", "age": 1}) == 0
        assert tuple(connection.row(sa.select(SHEEP).where(SHEEP.c.name == "dolly"))) == ("dolly", 7, False)


def test_a_transaction_or_a_part_of_it_that_raises_leaves_nothing(flock):
    def count():
        with flock.reading() as connection:
            return connection.value(COUNT)

    def twice(within, connection):
        with within:
            connection.change(ADD, {"name": "holly"})
            connection.change(ADD, {"name": "dolly"})

    def whole():
        with flock.writing() as connection:
            twice(contextlib.nullcontext(), connection)

    with pytest.raises(sa.exc.IntegrityError):
        whole()
    assert count() == 3
    with flock.writing() as connection:
        with pytest.raises(sa.exc.IntegrityError) as caught:
            twice(connection.part(), connection)
        assert "dolly" not in str(caught.value)
        connection.change(ADD, {"name": "jolly"})
    assert count() == 4


def test_what_is_read_is_one_state(flock):
    with flock.reading() as reading:
        assert reading.value(COUNT) == 3
        with flock.writing() as writing:
            writing.change(ADD, {"name": "holly"})
        assert reading.value(COUNT) == 3


@pytest.mark.parametrize("read", [Connection.rows, Connection.row, Connection.value])
def test_what_goes_wrong_at_a_later_row_is_raised_as_what_goes_wrong_at_once(flock, read):
    def shear(age):
        return 1 / (age - 7)

    with flock.reading() as connection:
        connection.driver.create_function("shear", 1, shear)
        with pytest.raises(sa.exc.OperationalError) as caught:
            read(connection, sa.select(sa.func.shear(SHEEP.c.age)))
        assert isinstance(caught.value.orig, sqlite3.OperationalError)
