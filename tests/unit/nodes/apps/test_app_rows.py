"""The stand-in for flwr_datasets serves the partition as Hugging Face's datasets would."""

import datetime
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from kapok.documents.columns import Column
from kapok.nodes.apps.inside.flwr_datasets import FederatedDataset, _partition, partitioner
from kapok.nodes.apps.inside.flwr_datasets.rows import Rows
from kapok.nodes.apps.partition import write_partition

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


def test_the_partition_has_the_approved_columns_alone(tmp_path):
    kinds = {
        "n": ("integer", {"minimum": 0, "maximum": 9}, 3, pa.int64()),
        "x": ("decimal", {"minimum": 0, "maximum": 9, "resolution": "0.1"}, 1.5, pa.float64()),
        "t": ("text", {"domain": ("a",)}, "a", pa.string()),
        "b": ("boolean", {}, True, pa.bool_()),
        "d": (
            "date",
            {"minimum": "2000-01-01", "maximum": "2030-01-01"},
            datetime.date(2020, 1, 2),
            pa.date32(),
        ),
    }
    columns = tuple(Column(name=name, type=kind, **bounds) for name, (kind, bounds, _, _) in kinds.items())
    asked = []

    class Engine:
        dialect = "duckdb"

        def fetch(self, select_sql):
            asked.append(select_sql)
            return [tuple(value for _, _, value, _ in kinds.values()), (None,) * len(kinds)]

    path = tmp_path / "partition.parquet"
    assert write_partition(Engine(), SimpleNamespace(columns=columns), list(kinds), path) == 2
    assert asked == ['SELECT "n", "x", "t", "b", "d" FROM source']
    table = parquet.read_table(path)
    assert table.schema.types == [kind for _, _, _, kind in kinds.values()]
    assert table.to_pylist()[0] == {name: value for name, (_, _, value, _) in kinds.items()}
    assert set(table.to_pylist()[1].values()) == {None}
