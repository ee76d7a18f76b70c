"""Sources of several files and formats: one table, or a clear word on the file and column that do not fit."""

import contextlib
import os
import threading

import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from kapok.documents.dataset import Column, Dataset
from kapok.errors import InvalidInput
from kapok.nodes.settings import ArrowSource, CsvSource, EngineLimits, ParquetSource, QuerySource
from kapok.nodes.sources import Table
from kapok.nodes.sources.files import clear_spill
from kapok.nodes.sources.version import VersionKey

SCHEMA = Dataset(
    name="lab",
    columns=(
        Column(name="n", type="integer", minimum=0, maximum=1000),
        Column(name="kind", type="text", domain=("a", "b"), nullable=True),
    ),
    rows_max=2_000_000,
)
LIMITS = EngineLimits(threads=2)
WRITERS = {
    "csv": lambda table, path: pa.csv.write_csv(table, path),
    "parquet": pq.write_table,
    "arrow": lambda table, path: pa.feather.write_feather(table, path, compression="uncompressed"),
}
SOURCES = {"csv": CsvSource, "parquet": ParquetSource, "arrow": ArrowSource}


def table(source, limits=LIMITS, dataset=SCHEMA):
    return Table(dataset, source, limits, VersionKey(b"k" * 32))


def write(folder, name, ns, kinds=None, **more):
    folder.mkdir(parents=True, exist_ok=True)
    columns = {"n": ns, "kind": kinds or ["a"] * len(ns), **more}
    WRITERS[name.rpartition(".")[2]](pa.table(columns), folder / name)


def rows(found, select="n, kind"):
    with found.reading() as reading:
        assert reading.engine is not None, reading.unfit
        answer = sorted(reading.engine.fetch(f"SELECT {select} FROM source"))
    assert reading.steady
    return answer


def problems(found):
    return [str(problem) for problem in found.check().problems]


def version(found):
    with found.reading() as reading:
        assert reading.engine is not None, reading.unfit
    return reading.version


@pytest.fixture(params=SOURCES)
def kind(request):
    return request.param


def test_a_file_a_folder_and_a_pattern_are_one_table(tmp_path, kind):
    write(tmp_path / "data", f"2013-02.{kind}", [2, 3])
    write(tmp_path / "data", f"2013-01.{kind}", [1], ["b"])
    write(tmp_path / "data", f"2014-01.{kind}", [9])
    (tmp_path / "data" / "README").write_text("not data")
    (tmp_path / "data" / f".hidden.{kind}").write_text("not data")
    (tmp_path / "data" / f"sub.{kind}").mkdir()
    write(tmp_path / "data" / "deep" / "er", f"old.{kind}", [7])
    source = SOURCES[kind]
    assert rows(table(source(tmp_path / "data" / f"2013-01.{kind}"))) == [(1, "b")]
    assert rows(table(source(tmp_path / "data" / f"2013-*.{kind}"))) == [(1, "b"), (2, "a"), (3, "a")]
    assert rows(table(source(tmp_path / "data")), "n") == [(1,), (2,), (3,), (9,)]
    assert rows(table(source(tmp_path / "data" / "**" / f"*.{kind}")), "n") == [(1,), (2,), (3,), (7,), (9,)]
    assert rows(table(source(tmp_path / "data" / f"201[3]-0?.{kind}")), "n") == [(1,), (2,), (3,)]


def test_what_names_no_file_is_said_with_the_path(tmp_path, kind):
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "nowhere", tmp_path / f"*.{kind}"):
        assert problems(table(SOURCES[kind](path))) == [f"there is no file {path}: correct path in node.toml"]
    [problem] = problems(table(SOURCES[kind](tmp_path / "empty")))
    assert f"the folder {tmp_path / 'empty'} has no file that ends in .{kind}" in problem


def test_files_whose_columns_differ_are_named_and_never_joined_by_a_cast(tmp_path, kind):
    write(tmp_path, f"a.{kind}", [1])
    write(tmp_path, f"b.{kind}", [1], more=[2])
    found = table(SOURCES[kind](tmp_path))
    [problem] = problems(found)
    assert problem.startswith(f"the file a.{kind} has no column more, and b.{kind} has")
    with found.reading() as reading:
        assert reading.engine is None
    write(tmp_path, f"b.{kind}", [1])
    assert problems(found) == []


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_files_whose_types_differ_are_named(tmp_path, kind):
    write(tmp_path, f"a.{kind}", [1])
    write(tmp_path, f"b.{kind}", [1.5])
    [problem] = problems(table(SOURCES[kind](tmp_path)))
    assert problem.startswith(f"the column n of the file b.{kind} is ")
    assert f", and in a.{kind} it is " in problem


def test_csv_files_with_another_order_of_columns_are_named(tmp_path):
    (tmp_path / "a.csv").write_text("n,kind\n1,a\n")
    (tmp_path / "b.csv").write_text("kind,n\na,1\n")
    [problem] = problems(table(CsvSource(tmp_path)))
    assert problem.startswith("the column kind of the file b.csv is at another place than in a.csv")


def test_a_wrong_cell_is_found_in_its_file(tmp_path, kind):
    write(tmp_path, f"a.{kind}", [1, 2, 3])
    write(tmp_path, f"b.{kind}", [1, 5000, 6000])
    write(tmp_path, f"c.{kind}", [7000])
    what = "column n: 3 cells are out of bounds or outside the domain"
    source = SOURCES[kind](tmp_path)
    assert problems(table(source)) == [f"{what} (row 2 of b.{kind}, 3 of b.{kind}, 1 of c.{kind})"]
    # Rows keep their numbers where a filter leaves some out.
    filtered = SOURCES[kind](tmp_path, filter="CAST(n AS INTEGER) <> 1 AND CAST(n AS INTEGER) < 6000")
    assert problems(table(filtered)) == [
        f"column n: 1 cell is out of bounds or outside the domain (row 2 of b.{kind})"
    ]


def test_a_version_is_of_all_files_and_of_how_they_are_read(tmp_path, kind):
    source = SOURCES[kind]
    write(tmp_path, f"a.{kind}", [1])
    write(tmp_path, f"b.{kind}", [2])
    found = table(source(tmp_path))
    seen = [version(found)]
    (tmp_path / f"a.{kind}").rename(tmp_path / f"z.{kind}")
    assert version(found) == seen[0]
    write(tmp_path, f"c.{kind}", [2])
    seen.append(version(found))
    write(tmp_path, f"b.{kind}", [4])
    seen.append(version(found))
    seen.append(version(table(source(tmp_path, filter="kind IS NOT NULL"))))
    seen.append(version(table(source(tmp_path, on_fault="missing"))))
    assert len(set(seen)) == len(seen)


def test_a_file_that_appears_while_the_table_is_read_suppresses(tmp_path, kind):
    write(tmp_path, f"a.{kind}", [1])
    found = table(SOURCES[kind](tmp_path))
    with found.reading() as reading:
        assert reading.engine is not None
        write(tmp_path, f"b.{kind}", [2])
    assert not reading.steady
    assert reading.unfit == ("the source changed while it was read",)


def test_an_arrow_file_with_a_dictionary_is_read_as_text(tmp_path):
    for name, words in (("a", ["a", "b", None]), ("b", ["b", "b", "a"])):
        column = pa.array(words).dictionary_encode()
        pa.feather.write_feather(pa.table({"n": [1, 2, 3], "kind": column}), tmp_path / f"{name}.arrow")
    assert rows(table(ArrowSource(tmp_path)), "count(*) FILTER (WHERE kind = 'b')") == [(3,)]


def test_an_arrow_file_that_is_cut_short_while_it_is_read_costs_the_question_and_not_the_node(tmp_path):
    path = tmp_path / "a.arrow"
    content = pa.table({"n": pa.array(range(1_000_000)), "kind": ["a"] * 1_000_000})
    pa.feather.write_feather(content, path, compression="uncompressed", chunksize=20_000)
    dataset = Dataset(
        name="lab", columns=(Column(name="n", type="integer", minimum=0, maximum=10**6),), rows_max=10**6
    )
    with table(ArrowSource(path), dataset=dataset).reading() as reading:
        assert reading.engine is not None, reading.unfit
        batches = reading.engine.batches("SELECT n FROM source")
        next(batches)
        # So does `cp newer.arrow a.arrow` begin. What was read ahead may be all of it.
        os.truncate(path, 0)
        with contextlib.suppress(InvalidInput):
            list(batches)
    assert not reading.steady


def test_what_is_no_arrow_file_is_named(tmp_path):
    with pa.ipc.new_stream(str(tmp_path / "a.arrow"), pa.schema([("n", pa.int64())])):
        pass
    [problem] = problems(table(ArrowSource(tmp_path)))
    assert "a.arrow is no Arrow IPC file" in problem


def test_columns_have_the_names_that_the_holder_gives_them(tmp_path, kind):
    WRITERS[kind](pa.table({"Number": [1, 2], "n": [9000, 9001], "kind": ["a", "b"]}), tmp_path / f"a.{kind}")
    source = SOURCES[kind](tmp_path, rename={"n": "number"})
    assert rows(table(source)) == [(1, "a"), (2, "b")]
    assert problems(table(SOURCES[kind](tmp_path, rename={"n": "nummer", "kin": "x"}))) == [
        "key 'rename' names 'kin', which the schema does not have: did you mean kind?",
        "column n is missing in the source (there it would be nummer)",
    ]


def joined(tmp_path, query, **more):
    write(tmp_path, "flights.parquet", [1, 2, 3, 4], tail=["x", "y", "x", "z"])
    (tmp_path / "planes.csv").write_text("tailnum,seats\nx,100\ny,200\n")
    tables = {
        "flights": ParquetSource(tmp_path / "flights.parquet"),
        "planes": CsvSource(tmp_path / "planes.csv"),
    }
    return table(QuerySource(query=query, tables=tables, **more))


JOIN = (
    "SELECT CAST(seats AS INTEGER) AS n, f.kind FROM flights f JOIN planes p ON p.tailnum = f.tail -- theirs"
)


def test_a_view_and_a_join_are_the_holders_own(tmp_path):
    assert rows(joined(tmp_path, JOIN), "n") == [(100,), (100,), (200,)]
    assert rows(joined(tmp_path, JOIN, filter="n > 100"), "n") == [(200,)]
    found = joined(tmp_path, JOIN)
    first = version(found)
    (tmp_path / "planes.csv").write_text("tailnum,seats\nx,100\n")
    assert version(found) != first


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELEC n FROM flights", "the query cannot be used: Parser Error"),
        (
            "SELECT nn FROM flights",
            'the query cannot be used: Binder Error: Referenced column "nn" not found',
        ),
        ("SELECT * FROM flight", "the query cannot be used: Catalog Error: Table with name flight"),
        ("SELECT * FROM flights; SELECT 1", "only one SELECT"),
        ("COPY flights TO '{other}'", "only one SELECT"),
        ("SELECT * FROM read_csv('{other}')", "the SQL reads more than its tables"),
        ("SELECT * FROM '{other}'", "the SQL reads more than its tables"),
        ("SELECT * FROM read_text('/etc/passwd')", "the SQL reads more than its tables"),
        ("SELECT n FROM flights", "column kind is missing in the source"),
        ("SELECT n, n, kind FROM flights", "kind"),
    ],
)
def test_the_holders_sql_stands_behind_the_same_walls(tmp_path, query, said):
    other = tmp_path / "other.csv"
    other.write_text("n,kind\n1,a\n")
    found = problems(joined(tmp_path, query.format(other=other)))
    if said == "kind":
        assert found == []
        return
    assert len(found) == 1
    assert said in found[0]
    assert other.read_text() == "n,kind\n1,a\n"


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("n >", "the filter cannot be used: Parser Error"),
        ("m > 1", 'the filter cannot be used: Binder Error: Referenced column "m" not found'),
        ("n IN (SELECT 1 FROM read_csv('/etc/passwd'))", "the SQL reads more than its tables"),
    ],
)
def test_a_filter_that_cannot_be_used_is_said_as_the_holders(tmp_path, condition, said):
    write(tmp_path, "a.parquet", [1])
    [problem] = problems(table(ParquetSource(tmp_path, filter=condition)))
    assert said in problem


def test_a_filter_that_keeps_nothing_is_said(tmp_path):
    write(tmp_path, "a.parquet", [1])
    [problem] = problems(table(ParquetSource(tmp_path, filter="n > 1")))
    assert problem.startswith("the source has no rows")


WIDE = "count(DISTINCT repeat(kind, 500) || (random() * 1e9)::VARCHAR)"


def test_what_does_not_fit_in_memory_needs_a_folder_and_room_in_it(tmp_path):
    write(tmp_path / "data", "a.parquet", [*range(1000)] * 300)
    path, spill = tmp_path / "data" / "a.parquet", tmp_path / "spill"
    said = {}
    for name, limits in {
        "memory": EngineLimits(threads=1, memory_mib=64),
        "disk": EngineLimits(threads=1, memory_mib=64, spill=spill, spill_mib=1),
        "": EngineLimits(threads=1, memory_mib=64, spill=spill),
    }.items():
        with table(ParquetSource(path), limits).reading() as reading:
            assert reading.engine is not None
            if name:
                with pytest.raises(InvalidInput) as caught:
                    reading.engine.fetch(f"SELECT {WIDE} FROM source")
                said[name] = caught.value
            else:
                assert reading.engine.fetch(f"SELECT {WIDE} FROM source")[0][0] > 250_000
                assert next(spill.iterdir()).stat().st_mode & 0o777 == 0o700
        assert reading.steady is (not name)
    assert "the engine has not enough memory" in said["memory"].message
    assert "no room on the disk" in said["disk"].message
    assert "spill" in said["disk"].remedy
    assert list(spill.iterdir()) == []


def test_what_a_killed_engine_left_is_removed_and_nothing_else(tmp_path):
    (tmp_path / "kapok-spill-x").mkdir()
    (tmp_path / "kapok-spill-x" / "part").write_text("cells")
    (tmp_path / "other").mkdir()
    clear_spill(EngineLimits(spill=tmp_path))
    assert [one.name for one in tmp_path.iterdir()] == ["other"]


def test_an_engine_is_kept_for_the_next_question_while_the_files_are_the_same(tmp_path, monkeypatch):
    path = tmp_path / "a.parquet"
    write(tmp_path, "a.parquet", [1, 2])
    one = table(ParquetSource(path))
    with one.reading() as first, one.reading() as beside:
        assert first.engine is not beside.engine
    with one.reading() as second:
        assert second.engine is beside.engine
        assert second.engine.fetch("SELECT sum(n) FROM source") == [(3,)]
    with one.reading() as failing, pytest.raises(InvalidInput):
        failing.engine.fetch("SELECT nothing FROM source")
    assert failing.engine is second.engine
    with one.reading() as fresh:
        assert fresh.engine is not failing.engine
    write(tmp_path, "a.parquet", [1, 2, 3])
    monkeypatch.setattr("kapok.nodes.sources.files._IDLE_S", 0.01)
    with one.reading() as changed:
        assert changed.engine is not fresh.engine
        assert changed.engine.fetch("SELECT sum(n) FROM source") == [(6,)]
    for engine in (first.engine, failing.engine, fresh.engine):
        with pytest.raises(InvalidInput):
            engine.fetch("SELECT 1")
    # Not asked meanwhile: DuckDB closes no connection that answers just then, and nobody has a kept one.
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join(10)
    with pytest.raises(InvalidInput):
        changed.engine.fetch("SELECT 1")
