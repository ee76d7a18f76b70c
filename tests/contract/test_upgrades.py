"""What was written by any earlier version is still there after an upgrade: a row of each table, each way."""

import importlib
import shutil
import socket
import sys
from pathlib import Path

import pytest
import sqlalchemy
from alembic import command
from alembic.config import Config
from support.postgres import ON_POSTGRESQL, PASSWORD, emptied

import kapok.authority.migrations
import kapok.broker.store.migrations
import kapok.nodes.journal.migrations
from kapok.errors import Unavailable
from kapok.persistence import open_database, postgres

STORE, JOURNAL = kapok.broker.store.migrations, kapok.nodes.journal.migrations
REGISTER = kapok.authority.migrations
# The document is a job's payload as well, out of which a migration reads.
_OF_TYPE = (
    (sqlalchemy.Boolean, True),
    (sqlalchemy.Integer, 1),
    (sqlalchemy.Float, 1.0),
    (sqlalchemy.JSON, {}),
    (sqlalchemy.LargeBinary, b'{"dataset": "a"}'),
    (sqlalchemy.String, "a"),
)


def folder_of(migrations):
    return Path(migrations.__path__[0])


def revisions(migrations):
    return sorted(path.name[:4] for path in folder_of(migrations).glob("versions/[0-9]*.py"))


EARLIER = [
    pytest.param(room, revision, id=f"{room.__name__.split('.')[1]}-{revision}")
    for room in (JOURNAL, REGISTER)
    for revision in revisions(room)[:-1]
]


@pytest.fixture
def released(tmp_path, monkeypatch):
    """The migrations that a release had, whose last was this one."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def released(migrations, last):
        name = f"migrations_of_{last}"
        shutil.copytree(folder_of(migrations), tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        for later in revisions(migrations)[int(last) :]:
            next((tmp_path / name / "versions").glob(f"{later}_*.py")).unlink()
        importlib.invalidate_caches()
        monkeypatch.delitem(sys.modules, name, raising=False)
        return importlib.import_module(name)

    return released


def tables_of(connection):
    found = sqlalchemy.MetaData()
    found.reflect(connection)
    return [table for table in found.sorted_tables if table.name != "alembic_version"]


def value_of(column):
    return next(value for kind, value in _OF_TYPE if isinstance(column.type, kind))


def fill(connection):
    """A row in each table that has none. Rows of one kind have one key, so that all refer to one another."""
    for table in tables_of(connection):
        if connection.execute(sqlalchemy.select(table)).first() is None:
            connection.execute(table.insert().values({one.name: value_of(one) for one in table.columns}))


def contents(connection):
    """The rows of each table, each as its columns' values by name."""
    return {
        table.name: [dict(row) for row in connection.execute(sqlalchemy.select(table)).mappings()]
        for table in tables_of(connection)
    }


def filled(place, migrations):
    engine = open_database(place, migrations, password=PASSWORD)
    with engine.begin() as connection:
        fill(connection)
        before = contents(connection)
    engine.dispose()
    assert {len(rows) for rows in before.values()} == {1}
    return before


def is_kept(before, after):
    """Every row, in every column that is still there, but what a migration counts or moves."""
    for name, rows in before.items():
        if name in after:
            assert len(after[name]) == len(rows), name
            for old, new in zip(rows, after[name], strict=True):
                same = old.keys() & new.keys()
                assert {one: new[one] for one in same} == {one: old[one] for one in same}, name


def upgrade_keeps_all(place, migrations, earlier):
    before = filled(place, earlier)
    engine = open_database(place, migrations, password=PASSWORD)
    with engine.connect() as connection:
        after = contents(connection)
    engine.dispose()
    assert before.keys() <= after.keys()
    is_kept(before, after)


@pytest.mark.parametrize("revision", revisions(STORE)[:-1])
def test_a_store_of_any_release_is_brought_up_to_date_without_loss(place, released, revision):
    upgrade_keeps_all(place, STORE, released(STORE, revision))


@pytest.mark.parametrize(("migrations", "revision"), EARLIER)
def test_so_is_a_journal_and_a_register(tmp_path, released, migrations, revision):
    upgrade_keeps_all(tmp_path / "some.db", migrations, released(migrations, revision))


def downgrade_keeps_all(place, migrations, oldest):
    before = filled(place, migrations)
    config = Config()
    config.set_main_option("script_location", str(folder_of(migrations)))
    engine = open_database(place, migrations, password=PASSWORD)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, oldest)
        is_kept(before, contents(connection))
    engine.dispose()


def test_on_the_way_back_a_store_loses_nothing_but_what_it_is_about(place):
    downgrade_keeps_all(place, STORE, "0001")


def test_so_does_a_journal(tmp_path):
    downgrade_keeps_all(tmp_path / "journal.db", JOURNAL, "0002")


@pytest.mark.parametrize("server", [ON_POSTGRESQL])
def test_a_server_is_given_the_time_of_an_upgrade_only_where_there_is_one(server, request, monkeypatch):
    """One that says nothing is told of soon, however long an upgrade may take."""
    place, patient, engine = emptied(request.getfixturevalue("postgres")), [], postgres.engine

    def dialled(text, password, *, upgrades=False):
        patient.append(upgrades)
        return engine(text, password, upgrades=upgrades)

    monkeypatch.setattr(postgres, "engine", dialled)
    for expected in ([False, True], [False]):
        open_database(place, STORE, password=PASSWORD).dispose()
        assert patient == expected
        patient.clear()
    monkeypatch.setattr(postgres, "_SOCKET_S", 0.2)
    monkeypatch.setattr(postgres, "_UPGRADE_S", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(Unavailable) as refused:
        open_database(f"postgresql://kapok@127.0.0.1:{silent.getsockname()[1]}/kapok", STORE, password="x")
    assert refused.value.code == "database_unavailable"
    assert patient == [False]


SLOW = """
from alembic import op
revision = "{revision}"
down_revision = "{before}"
def upgrade() -> None:
    op.execute("SELECT pg_sleep(0.8)")
"""


@pytest.mark.parametrize("server", [ON_POSTGRESQL])
def test_an_upgrade_may_take_longer_than_any_other_statement(server, request, released, monkeypatch):
    place = emptied(request.getfixturevalue("postgres"))
    last = revisions(STORE)[-1]
    slow = released(STORE, last)
    after = f"{int(last) + 1:04}"
    (folder_of(slow) / "versions" / f"{after}_slow.py").write_text(SLOW.format(revision=after, before=last))
    session = tuple(line.replace("'25s'", "'300ms'") for line in postgres._SESSION)
    assert session != postgres._SESSION
    monkeypatch.setattr(postgres, "_SESSION", session)
    monkeypatch.setattr(postgres, "_SOCKET_S", 0.5)
    engine = open_database(place, slow, password=PASSWORD)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == after
        with pytest.raises(sqlalchemy.exc.DBAPIError, match="statement timeout"):
            connection.exec_driver_sql("SELECT pg_sleep(0.8)")
    engine.dispose()
