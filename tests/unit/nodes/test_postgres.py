"""A relation of PostgreSQL as a source: one snapshot, behind walls, and every failure has a name."""

import contextlib
import os
import signal
import socket
import threading
import time
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.postgres import PASSWORD, READER, started

from kapok.computations import Thresholds
from kapok.computations.query.holder import contribute
from kapok.computations.query.reading import read_question
from kapok.documents.dataset import Column, Dataset
from kapok.errors import InvalidInput
from kapok.nodes.settings import EngineLimits, ParquetSource, PostgresSource
from kapok.nodes.sources import Table, postgres_session
from kapok.nodes.sources.postgres import with_source
from kapok.nodes.sources.version import VersionKey

SCHEMA = Dataset(
    name="lab",
    columns=(
        Column(name="n", type="integer", minimum=0, maximum=1000),
        Column(name="kind", type="text", domain=("a", "b", "é"), nullable=True),
        Column(name="day", type="date", minimum="2013-01-01", maximum="2013-12-31", nullable=True),
    ),
    rows_max=1000,
)
ROWS = pa.table(
    {
        "n": pa.array([1, 2, 3, 4, 5], pa.int32()),
        "kind": ["a", "b", None, "a", "é"],
        "day": [date(2013, 1, 31), None, None, None, None],
        "other": [9.5] * 5,
    }
)
LIMITS = EngineLimits(threads=1, timeout_s=20)
QUESTION = read_question("SELECT kind, COUNT(*), SUM(n) FROM lab GROUP BY kind", SCHEMA)


@pytest.fixture
def lab(postgres, monkeypatch):
    """The server with the table `lab`, and the URL where the settings look for it."""
    postgres.make("lab", ROWS)
    monkeypatch.setenv("LAB_URL", postgres.url())
    return postgres


def table(limits=LIMITS, dataset=SCHEMA, key=b"k", **source):
    source = {"url_env": "LAB_URL"} | source
    if "query" not in source:
        source.setdefault("relation", "lab")
    return Table(dataset, PostgresSource(**source), limits, VersionKey(key * 32))


def rows(found, sql="SELECT n, kind, day FROM source ORDER BY n"):
    with found.reading() as reading:
        assert reading.engine is not None, reading.unfit
        return list(reading.engine.fetch(sql))


def problems(found):
    return [str(problem) for problem in found.check().problems]


def version(found):
    with found.reading() as reading:
        assert reading.engine is not None, reading.unfit
    return reading.version


def test_a_relation_is_read_in_the_schemas_types(lab, tmp_path):
    found = table()
    assert problems(found) == []
    assert found.check().rows == 5
    assert found.check().notes == ()
    assert rows(found)[:2] == [(1, "a", date(2013, 1, 31)), (2, "b", None)]
    pq.write_table(ROWS, tmp_path / "lab.parquet")
    words = []
    for one in (found, Table(SCHEMA, ParquetSource(tmp_path / "lab.parquet"), LIMITS, VersionKey(b"k" * 32))):
        with one.reading() as reading:
            words.append(contribute(QUESTION, SCHEMA, reading.engine, Thresholds(0, 0)).to_integers())
    assert words[0] == words[1]
    assert any(words[0])
    with found.reading() as reading, pytest.raises(InvalidInput):
        reading.engine.fetch("SELECT other FROM source")


def test_batches_are_the_same_rows_and_fail_like_a_question(lab):
    with table().reading() as reading:
        batches = list(reading.engine.batches("SELECT CAST(n AS BIGINT) AS n FROM source ORDER BY 1"))
        assert [n for batch in batches for n in batch["n"].to_pylist()] == [1, 2, 3, 4, 5]
        assert batches[0].schema.field("n").type == pa.int64()
    found = table()
    with found.reading() as reading, pytest.raises(InvalidInput, match="could not compute"):
        list(reading.engine.batches("SELECT 1 / (n - 3) AS n FROM source"))
    assert not reading.steady
    assert reading.unfit == ("the server could not compute or send all rows",)
    with table(EngineLimits(threads=1, timeout_s=1)).reading() as reading:
        endless = "SELECT count(*) AS n FROM source a, source b, generate_series(1, 1000000000) AS s"
        with pytest.raises(InvalidInput):
            list(reading.engine.batches(endless))


def test_by_socket_by_file_and_by_another_schema(lab, tmp_path, monkeypatch):
    lab.run(
        "DROP SCHEMA IF EXISTS ward CASCADE",
        "CREATE SCHEMA ward",
        f"GRANT USAGE ON SCHEMA ward TO {READER}",
        'CREATE TABLE ward."Lab" AS SELECT * FROM lab WHERE n < 3',
        f'GRANT SELECT ON ward."Lab" TO {READER}',
    )
    (tmp_path / "url").write_text(lab.url(by_socket=True) + "\n")
    (tmp_path / "url").chmod(0o600)
    source = {"url_env": "", "url_file": tmp_path / "url", "relation": "ward.Lab"}
    assert [row[0] for row in rows(table(**source))] == [1, 2]
    (tmp_path / "url").chmod(0o640)
    [problem] = problems(table(**source))
    assert problem.endswith(f"may be read by others than its owner: chmod 600 {tmp_path / 'url'}")


def test_a_query_a_filter_and_names_are_the_holders(lab):
    query = "SELECT l.n, l.kind AS k, l.day FROM lab l JOIN lab o ON o.n = l.n + 1 -- theirs\n;"
    assert [row[:2] for row in rows(table(query=query, rename={"kind": "k"}))] == [
        (1, "a"),
        (2, "b"),
        (3, None),
        (4, "a"),
    ]
    assert [row[0] for row in rows(table(filter="kind = 'a' -- theirs"))] == [1, 4]
    seen = {version(table()), version(table(filter="n > 0")), version(table(on_fault="missing"))}
    assert len(seen) == 3


def test_faults_are_named_by_place_and_never_by_content(lab):
    lab.run("INSERT INTO lab VALUES (5000, 'a', NULL, 1), (7, 'secret', 'infinity', 1)")
    assert problems(table()) == [
        "column n: 1 cell is out of bounds or outside the domain (row (0,6))",
        "column kind: 1 cell is out of bounds or outside the domain (row (0,7))",
        "column day: 1 cell cannot be read as date (row (0,7))",
    ]
    assert problems(table(query="SELECT * FROM lab ORDER BY n", filter="n <> 3"))[0].endswith("(row 7)")
    found = table(on_fault="clip")
    assert rows(found)[-2:] == [(7, None, None), (1000, "a", None)]
    assert len(found.check().notes) == 3


def test_a_version_is_of_what_is_read_and_changes_with_it(lab):
    found = table()
    first = version(found)
    lab.run("CREATE TABLE IF NOT EXISTS elsewhere (a INT)", "INSERT INTO elsewhere VALUES (1)")
    assert version(found) == first
    lab.run("UPDATE lab SET other = 0")
    assert version(found) == first
    seen = [first]
    for statement in (
        "UPDATE lab SET n = n + 1 WHERE n = 5",
        "UPDATE lab SET kind = NULL WHERE n = 1",
        "INSERT INTO lab SELECT * FROM lab WHERE n = 2",
        "INSERT INTO lab SELECT * FROM lab WHERE n = 2",
        "DELETE FROM lab WHERE n = 2",
    ):
        lab.run(statement)
        seen.append(version(found))
    assert len(set(seen)) == len(seen)
    assert version(table(key=b"x")) != seen[-1]
    lab.make("lab", ROWS.take([4, 2, 0, 1, 3]))
    assert version(found) == first


def test_version_check_and_answer_are_of_one_snapshot(lab):
    found = table()
    with found.reading() as reading:
        assert reading.engine is not None
        lab.run("INSERT INTO lab VALUES (5000, 'x', NULL, 1)")
        assert list(reading.engine.fetch("SELECT COUNT(*) FROM source")) == [(5,)]
    assert reading.steady
    with found.reading() as later:
        assert later.engine is None
    assert later.version != reading.version
    assert later.unfit[0].startswith("column n: cells are out of bounds")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1; SELECT 2",
        "COPY source TO '/tmp/kapok-was-here'",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "DELETE FROM source",
        "WITH d AS (DELETE FROM lab RETURNING 1) SELECT * FROM d",
        "WITH d AS (DELETE FROM source RETURNING 1) SELECT * FROM d",
        "SELECT * INTO x FROM source",
        "SELECT * FROM lab",
        "SELECT * FROM pg_catalog.pg_class",
        "SELECT (SELECT passwd FROM pg_shadow LIMIT 1) FROM source",
        "SELECT * FROM pg_read_file('/etc/passwd')",
        "SET statement_timeout = 0",
        "ROLLBACK",
        "not sql",
        "",
    ],
)
def test_only_one_select_over_the_source_is_run(lab, sql):
    with table().reading() as reading:
        assert reading.engine is not None
        with pytest.raises(InvalidInput) as caught:
            reading.engine.fetch(sql)
        assert caught.value.code == "source_unreadable"
        assert reading.engine.run("SELECT count(*) FROM lab") == [(5,)]
    assert not reading.steady


def test_the_question_is_composed_as_a_tree():
    made = with_source('WITH x AS (SELECT * FROM source) SELECT "x"."a" FROM x', "SELECT 1 AS a")
    assert made == 'WITH source AS (SELECT 1 AS a), x AS (SELECT * FROM source) SELECT "x"."a" FROM x'


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"relation": "nowhere"}, 'relation "nowhere" does not exist [42P01]'),
        ({"relation": "secret"}, "the user of the URL may not read it: GRANT SELECT"),
        ({"query": "SELEC 1"}, "syntax error at or near"),
        ({"query": "SELECT nn FROM lab"}, 'column "nn" does not exist [42703]'),
        ({"query": "SELECT 1; SELECT 2"}, "[42601]"),
        ({"filter": "n >"}, "syntax error"),
        ({"query": "SELECT n, kind, day, 1 / (n - 1) AS x FROM lab", "filter": "x > 0"}, "[22012]"),
        ({"query": "SELECT CAST(kind AS INT) AS n, kind, day FROM lab"}, "[22P02]"),
        ({"query": "DELETE FROM lab RETURNING n, kind, day"}, "[42601]"),
        ({"query": "SELECT nextval('counter') AS n, kind, day FROM lab"}, "the SQL would write"),
        ({"query": "SELECT n, n AS N2, kind, day, 1 AS n FROM lab"}, "the source has the column n twice"),
        ({"rename": {"day": "DAY2"}}, "column day is missing in the source (there it would be DAY2)"),
    ],
)
def test_what_cannot_be_read_is_said_and_no_cell_with_it(lab, source, said):
    lab.run("CREATE TABLE IF NOT EXISTS secret (n INT)", "CREATE SEQUENCE IF NOT EXISTS counter")
    lab.run(f"GRANT USAGE ON SEQUENCE counter TO {READER}")
    [problem] = problems(table(**source))
    assert said in problem
    assert "é" not in problem
    with table(**source).reading() as reading:
        assert reading.engine is None
    assert len(reading.version) == 64
    assert '"' not in " ".join(reading.unfit)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda url: "", "the environment variable LAB_URL is not set"),
        (lambda url: "mysql://x:owl-and-otter@h/d", "LAB_URL does not hold a URL of PostgreSQL"),
        (lambda url: "postgresql://x:owl-and-otter@[h/d", "LAB_URL does not hold a URL of PostgreSQL"),
        (lambda url: url.replace(PASSWORD, "wrong"), "the server does not accept the user's password"),
        (lambda url: url.replace(READER, "nobody"), "the server does not accept the user's password"),
        (lambda url: url.replace("/postgres", "/nowhere"), "the server does not have the database"),
        (lambda url: url.replace(PASSWORD, "owl%zzotter"), "the server cannot be reached"),
        (lambda url: "postgresql://a:owl-and-otter@127.0.0.1:1/d", "no server takes connections there"),
        (
            lambda url: "postgresql://a:owl-and-otter@db.example/d",
            "does not say how the connection is secured",
        ),
        (lambda url: url + "?sslmode=verify-full", "TLS"),
    ],
)
def test_a_server_that_cannot_be_used_is_said_without_the_url(lab, monkeypatch, change, said):
    monkeypatch.setenv("LAB_URL", change(lab.url()))
    [problem] = problems(table())
    assert said in problem
    for secret in (PASSWORD, "owl", READER, str(lab.port)):
        assert secret not in problem


def test_a_superuser_is_warned_of(lab, monkeypatch):
    monkeypatch.setenv("LAB_URL", lab.url("kapok_admin"))
    report = table().check()
    assert report.ok
    assert "superuser" in str(report.notes[0])


def test_a_database_in_another_encoding_is_refused(lab, monkeypatch):
    with contextlib.suppress(Exception):
        lab.run("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    monkeypatch.setenv("LAB_URL", lab.url(database="latin"))
    assert problems(table()) == ["the database's encoding is LATIN1, not UTF8: read a database in UTF8"]


def test_a_slow_server_is_stopped(lab):
    found = table(EngineLimits(timeout_s=1), query="SELECT l.*, pg_sleep(0.6) FROM lab l")
    assert "the server took too long" in problems(found)[0]
    with found.reading() as reading:
        assert reading.engine is None
    assert reading.unfit == ("the server took too long",)


def test_a_locked_table_is_not_waited_for(lab):
    with lab.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("LOCK TABLE lab IN ACCESS EXCLUSIVE MODE")
        assert "the server took too long" in problems(table(EngineLimits(timeout_s=1)))[0]
        cursor.execute("ROLLBACK")


def test_a_port_that_never_answers_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(postgres_session, "_GRACE_S", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("LAB_URL", f"postgresql://a:b@127.0.0.1:{silent.getsockname()[1]}/d")
        assert "the server does not answer" in problems(table(connect_timeout_s=1))[0]


@pytest.fixture
def own_lab(monkeypatch):
    """A server that a test may ill-treat."""
    with started() as server:
        server.make("lab", ROWS)
        monkeypatch.setenv("LAB_URL", server.url())
        yield server


def test_a_server_that_dies_falls_silent_or_is_down_suppresses_and_comes_back(own_lab, monkeypatch):
    monkeypatch.setattr(postgres_session, "_GRACE_S", 0.5)
    found = table(EngineLimits(timeout_s=1), connect_timeout_s=1)
    first = version(found)
    # The server's process for this connection is ended in the middle of a query.
    with found.reading() as reading:
        assert reading.engine is not None
        [(backend,)] = reading.engine.run("SELECT pg_backend_pid()")
        killer = threading.Timer(0.2, lambda: own_lab.run(f"SELECT pg_terminate_backend({backend})"))
        killer.start()
        with pytest.raises(InvalidInput, match="the connection to the server ended"):
            reading.engine.fetch("SELECT pg_sleep(5) FROM source")
        killer.join()
    assert reading.unfit == ("the connection to the server ended",)
    assert version(found) == first
    # That process is frozen: no statement timeout ends what it does not do.
    with found.reading() as reading:
        assert reading.engine is not None
        [(backend,)] = reading.engine.run("SELECT pg_backend_pid()")
        os.kill(backend, signal.SIGSTOP)
        with pytest.raises(InvalidInput, match="the server does not answer"):
            reading.engine.fetch("SELECT COUNT(*) FROM source")
    assert "the server has still not answered" in problems(found)[0]
    os.kill(backend, signal.SIGCONT)
    for _ in range(100):
        if not problems(found):
            break
        time.sleep(0.1)
    assert version(found) == first
    own_lab.process.send_signal(signal.SIGSTOP)
    assert "the server does not answer" in problems(found)[0]
    own_lab.process.send_signal(signal.SIGCONT)
    assert version(found) == first
    own_lab.stop()
    assert "no server takes connections there" in problems(found)[0]
    with found.reading() as reading:
        assert reading.engine is None
    assert len(reading.version) == 64


def test_a_hospital_with_a_database_answers_like_the_others_and_suppresses_like_them(
    postgres, empty_world, monkeypatch
):
    patients = [(30 + index % 40, index % 2, "no") for index in range(50)]
    for name in "bc":
        empty_world.add(name, patients)
    age, sex, smoker = map(list, zip(*patients, strict=True))
    postgres.make("clinic", pa.table({"age": age, "sex": sex, "smoker": smoker}))
    monkeypatch.setenv("LAB_URL", postgres.url())
    node = empty_world.add("a", None, source=PostgresSource(url_env="LAB_URL", relation="clinic"))
    question = "SELECT COUNT(*) AS n, SUM(age) AS s FROM clinic WHERE age >= 30"

    def answered():
        job = empty_world.job(question)
        opened = job.run()
        return job.answer(opened).rows, {member.name: member.data_version for member in opened.members}

    shown, versions = answered()
    assert shown == ((150, 3 * sum(age)),)
    assert answered() == (shown, versions)
    postgres.run("INSERT INTO clinic VALUES (999, 1, 'no')")
    hidden, later = answered()
    assert hidden == ((None, None),)
    assert later[node.name] != versions[node.name]
    postgres.run("DROP TABLE clinic")
    gone, last = answered()
    assert gone == hidden
    assert len(last[node.name]) == len(later[node.name])
