"""The stand-in for flwr_datasets serves the partition as Hugging Face's datasets would."""

import datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from kapok.documents.dataset import Column, Dataset
from kapok.nodes.apps.inside.flwr_datasets import FederatedDataset, _partition, partitioner
from kapok.nodes.apps.inside.flwr_datasets.rows import Rows
from kapok.nodes.apps.partition import write_partition
from kapok.nodes.settings import EngineLimits, ParquetSource, PostgresSource
from kapok.nodes.sources import Table
from kapok.nodes.sources.version import VersionKey

TABLE = pa.table(
    {"age": list(range(10)), "chol": [None, *(index / 2 for index in range(9))], "sex": ["m", "f"] * 5}
)


@pytest.fixture
def rows() -> Rows:
    return Rows(TABLE)


def test_formats(rows):
    assert len(rows) == rows.num_rows == 10
    assert rows.column_names == ["age", "chol", "sex"]
    assert rows[1] == {"age": 1, "chol": 0.0, "sex": "f"}
    assert rows[-1]["age"] == 9
    assert rows["age"][:3] == [0, 1, 2]
    assert rows[2:4] == {"age": [2, 3], "chol": [0.5, 1.0], "sex": ["m", "f"]}
    numpy = rows.with_format("numpy")
    assert numpy["age"].dtype == np.int64
    assert np.isnan(numpy["chol"][0])
    assert numpy[[0, 3]]["age"].tolist() == [0, 3]
    frame = rows.with_format("pandas", columns=["age", "chol"])[:]
    assert frame.shape == (10, 2)
    assert rows.with_format("pandas")["sex"].tolist() == ["m", "f"] * 5
    assert [row["age"] for row in rows] == list(range(10))
    with pytest.raises(IndexError):
        rows[10]
    with pytest.raises(ValueError, match="polars"):
        rows.with_format("polars")["age"]
    rows.set_format("numpy")
    assert isinstance(rows["age"], np.ndarray)


def test_splits_are_those_that_a_seed_gives_elsewhere(rows):
    order = np.random.default_rng(42).permutation(10)
    parts = rows.train_test_split(test_size=0.25, seed=42)
    assert parts["test"]["age"] == order[:3].tolist()
    assert parts["train"]["age"] == order[3:].tolist()
    plain = rows.train_test_split(test_size=2, shuffle=False)
    assert (plain["train"]["age"], plain["test"]["age"]) == (list(range(8)), [8, 9])
    assert len(rows.train_test_split(train_size=0.55, seed=1)["train"]) == 5
    assert len(rows.train_test_split(seed=1)["test"]) == 3
    assert rows.shuffle(seed=7)["age"] == np.random.default_rng(7).permutation(10).tolist()
    with pytest.raises(ValueError, match="more than all"):
        rows.train_test_split(test_size=6, train_size=6)


def test_rows_and_columns_are_chosen_and_made(rows):
    assert rows.select([3, 1])["age"] == [3, 1]
    assert rows.filter(lambda row: row["sex"] == "f")["age"] == [1, 3, 5, 7, 9]
    assert rows.map(lambda row: {"old": row["age"] > 5})["old"] == [False] * 6 + [True] * 4
    batched = rows.map(
        lambda batch: {"age": [one + 1 for one in batch["age"]]}, batched=True, remove_columns="sex"
    )
    assert (batched.column_names, batched["age"][0]) == (["age", "chol"], 1)
    assert rows.rename_column("age", "years").column_names == ["years", "chol", "sex"]
    assert rows.remove_columns(["age"]).column_names == ["chol", "sex"]
    assert rows.select_columns("age").column_names == ["age"]
    assert rows.unique("sex") == ["m", "f"]
    assert rows.with_format("numpy").with_transform(lambda batch: {"n": batch["age"] * 2})[:2][
        "n"
    ].tolist() == [0, 2]
    assert rows.to_dict()["sex"] == ["m", "f"] * 5
    assert rows.to_pandas().shape == (10, 3)
    assert str(rows.features["age"]) == "int64"


def test_whatever_is_asked_for_the_own_partition_is_served(tmp_path, monkeypatch):
    parquet.write_table(TABLE, tmp_path / "partition.parquet")
    monkeypatch.setenv("KAPOK_PARTITION", str(tmp_path / "partition.parquet"))
    _partition.cache_clear()
    made = partitioner.ShardPartitioner(num_partitions=3, partition_by="label")
    served = FederatedDataset(dataset="somebody/mnist", partitioners={"train": made}, shuffle=True)
    assert served.load_partition(2, "train").column_names == TABLE.column_names
    with pytest.raises(PermissionError):
        served.load_split("test")
    with pytest.raises(AttributeError):
        partitioner.download  # noqa: B018
    _partition.cache_clear()


SCHEMA = Dataset(
    name="mixed",
    columns=(
        Column(name="n", type="integer", minimum=0, maximum=9, nullable=True),
        Column(name="x", type="decimal", minimum="0", maximum="9", resolution="0.1", nullable=True),
        Column(name="t", type="text", domain=("a", "é"), nullable=True),
        Column(name="b", type="boolean", nullable=True),
        Column(name="d", type="date", minimum="2000-01-01", maximum="2030-01-01", nullable=True),
        Column(
            name="m",
            type="timestamp",
            minimum="2000-01-01T00:00:00",
            maximum="2030-01-01T00:00:00",
            nullable=True,
        ),
        Column(name="secret", type="integer", minimum=0, maximum=9, nullable=True),
    ),
    rows_max=10_000,
)
MIXED = pa.table(
    {
        "n": pa.array([1, 9, None], pa.int32()),
        "x": pa.array([Decimal("1.5"), Decimal("0.1"), None], pa.decimal128(6, 2)),
        "t": ["a", "é", None],
        "b": [True, False, None],
        "d": [datetime.date(2020, 1, 2), datetime.date(2000, 1, 1), None],
        "m": pa.array([datetime.datetime(2020, 1, 2, 3, 4, 5), None, None], pa.timestamp("us")),
        "secret": [1, 2, 3],
    }
)


def by_files(folder, _postgres):
    parquet.write_table(MIXED, folder / "mixed.parquet")
    return ParquetSource(folder / "mixed.parquet")


def by_postgres(_folder, postgres):
    postgres.make("mixed", MIXED)
    return PostgresSource(url_env="MIXED_URL", relation="mixed")


@pytest.mark.parametrize("made", [by_files, by_postgres])
def test_the_partition_has_the_approved_columns_alone_in_the_schemas_types(
    tmp_path, postgres, monkeypatch, made
):
    monkeypatch.setenv("MIXED_URL", postgres.url())
    table = Table(
        SCHEMA, made(tmp_path, postgres), EngineLimits(threads=1, timeout_s=60), VersionKey(b"k" * 32)
    )
    path = tmp_path / "partition.parquet"
    with table.reading() as reading:
        assert reading.engine is not None, reading.unfit
        assert write_partition(reading.engine, SCHEMA, ["x", "n", "t", "b", "d", "m"], path) == 3
    found = parquet.read_table(path)
    assert found.schema.names == ["x", "n", "t", "b", "d", "m"]
    assert [str(kind) for kind in found.schema.types] == [
        "double",
        "int64",
        "string",
        "bool",
        "date32[day]",
        "timestamp[us]",
    ]
    rows = sorted(found.to_pylist(), key=lambda row: (row["n"] is None, row["n"]))
    assert rows[0] == {
        "x": 1.5,
        "n": 1,
        "t": "a",
        "b": True,
        "d": datetime.date(2020, 1, 2),
        "m": datetime.datetime(2020, 1, 2, 3, 4, 5),
    }
    assert rows[1]["t"] == "é"
    assert set(rows[2].values()) == {None}
