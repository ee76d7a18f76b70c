import logging
import os
import sqlite3
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy

from kapok.errors import InvalidInput, NotFound, Unavailable
from kapok.persistence import examine_database, open_database

ENV = "from kapok.persistence import run_environment\n\nrun_environment()\n"
FIRST = """
import sqlalchemy
from alembic import op
revision = "0001"
down_revision = None
def upgrade() -> None:
    op.create_table("sheep", sqlalchemy.Column("name", sqlalchemy.String, primary_key=True))
"""
SECOND = """
import sqlalchemy
from alembic import op
revision = "0002"
down_revision = "0001"
def upgrade() -> None:
    op.add_column("sheep", sqlalchemy.Column("age", sqlalchemy.Integer))
"""
LAMBS = """
from alembic import op
revision = "0002"
down_revision = "0001"
def upgrade() -> None:
    op.execute("CREATE TABLE lamb (mother VARCHAR NOT NULL REFERENCES sheep (name) ON DELETE CASCADE)")
    op.execute("INSERT INTO sheep VALUES ('dolly')")
    op.execute("INSERT INTO lamb VALUES ('dolly')")
"""
MADE_ANEW = """
import sqlalchemy
from alembic import op
revision = "0003"
down_revision = "0002"
def upgrade() -> None:
    with op.batch_alter_table("sheep", recreate="always") as sheep:
        sheep.add_column(sqlalchemy.Column("age", sqlalchemy.Integer))
"""
BROKEN = SECOND + '    op.execute("SELECT nonsense FROM nowhere")\n'


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "code 100%" / "flock_migrations"
    (folder / "versions").mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "env.py").write_text(ENV)
    (folder / "versions" / "0001_sheep.py").write_text(FIRST)
    monkeypatch.syspath_prepend(str(folder.parent))
    yield folder
    sys.modules.pop("flock_migrations", None)


def columns(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        return [row[1] for row in connection.execute("PRAGMA table_info(sheep)")]
    finally:
        connection.close()


def test_opens_migrates_and_opens_again(
    tmp_path: Path, package: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "flock.db"
    with caplog.at_level(logging.INFO):
        engine = open_database(path, "flock_migrations")
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("INSERT INTO sheep VALUES ('dolly')"))
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
        assert stat.S_IMODE((tmp_path / "flock.db-wal").stat().st_mode) == 0o600
    engine.dispose()
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 15_000}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (package / "versions" / "0002_age.py").write_text(SECOND)
    engine = open_database(str(path), "flock_migrations")
    with engine.connect() as connection:
        assert connection.execute(sqlalchemy.text("SELECT name, age FROM sheep")).all() == [("dolly", None)]
    engine.dispose()
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


def test_a_migration_that_fails_changes_nothing(tmp_path: Path, package: Path) -> None:
    path = tmp_path / "flock.db"
    open_database(path, "flock_migrations").dispose()
    (package / "versions" / "0002_age.py").write_text(BROKEN)
    with pytest.raises(Unavailable) as caught:
        open_database(path, "flock_migrations")
    assert caught.value.code == "database_unavailable"
    assert columns(path) == ["name"]
    (package / "versions" / "0002_age.py").write_text(SECOND)
    open_database(path, "flock_migrations").dispose()
    assert columns(path) == ["name", "age"]


def test_a_table_is_made_anew_without_loss_of_what_refers_to_it(tmp_path: Path, package: Path) -> None:
    (package / "versions" / "0002_lambs.py").write_text(LAMBS)
    open_database(tmp_path / "flock.db", "flock_migrations").dispose()
    (package / "versions" / "0003_anew.py").write_text(MADE_ANEW)
    engine = open_database(tmp_path / "flock.db", "flock_migrations")
    with engine.begin() as connection:
        assert connection.exec_driver_sql("SELECT name, age FROM sheep").all() == [("dolly", None)]
        assert connection.exec_driver_sql("SELECT mother FROM lamb").all() == [("dolly",)]
        connection.exec_driver_sql("DELETE FROM sheep")  # cascades again, once it is open
        assert connection.exec_driver_sql("SELECT mother FROM lamb").all() == []
    engine.dispose()


def test_a_migration_that_leaves_rows_without_those_they_refer_to_changes_nothing(
    tmp_path: Path, package: Path
) -> None:
    path = tmp_path / "flock.db"
    (package / "versions" / "0002_lambs.py").write_text(LAMBS)
    open_database(path, "flock_migrations").dispose()
    (package / "versions" / "0003_anew.py").write_text(MADE_ANEW + '    op.execute("DELETE FROM sheep")\n')
    with pytest.raises(InvalidInput) as caught:
        open_database(path, "flock_migrations")
    assert (caught.value.code, columns(path)) == ("bad_database", ["name"])
    assert "its table lamb would refer to rows of sheep" in caught.value.message


def test_newer_database_is_refused_unchanged(tmp_path: Path, package: Path) -> None:
    path = tmp_path / "flock.db"
    (package / "versions" / "0002_age.py").write_text(SECOND)
    open_database(path, "flock_migrations").dispose()
    (package / "versions" / "0002_age.py").unlink()
    with pytest.raises(InvalidInput) as caught:
        open_database(path, "flock_migrations")
    assert caught.value.code == "newer_database"
    assert "0002" in caught.value.message
    assert columns(path) == ["name", "age"]


def test_writers_wait_and_readers_do_not(tmp_path: Path, package: Path) -> None:
    engine = open_database(tmp_path / "flock.db", "flock_migrations")
    reader = engine.execution_options(read_only=True)
    with engine.begin() as writing, reader.connect() as reading:
        writing.execute(sqlalchemy.text("INSERT INTO sheep VALUES ('dolly')"))
        assert reading.execute(sqlalchemy.text("SELECT count(*) FROM sheep")).scalar() == 0
        other = sqlite3.connect(tmp_path / "flock.db", timeout=0, isolation_level=None)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        other.close()
    engine.dispose()


def test_a_new_file_has_the_pages_asked_for_and_an_old_one_keeps_its_own(
    tmp_path: Path, package: Path
) -> None:
    for page_bytes, found in ((16_384, 16_384), (4096, 16_384)):
        engine = open_database(tmp_path / "flock.db", "flock_migrations", page_bytes=page_bytes)
        with engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA page_size").scalar() == found
        engine.dispose()


def test_existing_wide_file_is_narrowed(tmp_path: Path, package: Path) -> None:
    path = tmp_path / "flock.db"
    path.touch(mode=0o644)
    open_database(path, "flock_migrations").dispose()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_bad_files_and_urls(tmp_path: Path, package: Path) -> None:
    (tmp_path / "text.db").write_bytes(b"hello, I am a text and no database at all" * 100)
    for where, code in (
        (tmp_path / "text.db", "bad_database"),
        (tmp_path, "bad_database"),
        ("nonsense://x", "bad_database_url"),
        ("postgresql+asyncpgx://secret:word@h/x", "bad_database_url"),
        ("://", "bad_database_url"),
    ):
        with pytest.raises(InvalidInput) as caught:
            open_database(where, "flock_migrations")
        assert caught.value.code == code
        assert "word" not in caught.value.diagnostics()
    with pytest.raises(NotFound) as absent:
        open_database(tmp_path / "none" / "x.db", "flock_migrations")
    assert absent.value.code == "no_folder"


def test_a_file_that_this_user_may_not_read_is_refused(package: Path) -> None:
    """As any other user than root, be it root who runs this."""
    with tempfile.TemporaryDirectory() as folder:
        path, root = Path(folder) / "flock.db", os.geteuid() == 0
        open_database(path, "flock_migrations").dispose()
        path.parent.chmod(0o755)
        path.chmod(0)
        if root:
            os.seteuid(65_534)
        try:
            with pytest.raises(InvalidInput, match="Permission denied") as refused:
                examine_database(path, "flock_migrations", lambda _connection: None)
        finally:
            if root:
                os.seteuid(0)
    assert refused.value.code == "bad_database"
    assert refused.value.remedy == "see that this user owns it and may read it"
