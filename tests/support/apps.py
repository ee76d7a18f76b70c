"""Flower apps for tests: bundles made by hand, their messages, and processes over a small partition."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from kapok.errors import InvalidInput
from kapok.nodes.apps.limits import AppLimits
from kapok.nodes.apps.process import AppProcess, AppTask, start_app
from kapok.nodes.apps.sandbox import check_sandbox

os.environ["FLWR_TELEMETRY_ENABLED"] = "0"

PROJECT = """
[project]
name = "little"
version = "1.0.0"
dependencies = ["flwr>=1.41", "numpy"]
[tool.flwr.app]
publisher = "kapok"
[tool.flwr.app.components]
serverapp = "little.server:app"
clientapp = "little.client:app"
[tool.flwr.app.config]
learning-rate = 0.01
local-epochs = 1
optimizer = "sgd"
quick = true
"""
SERVER = "from flwr.serverapp import ServerApp\napp = ServerApp()\n"
CLIENT = """
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()

def answer(**config):
    return RecordDict({"seen": ConfigRecord(config)})
"""
"""The beginning of every test app's client: what follows registers ``train``."""

TABLE = pa.table({"age": [63, 41, 70, 55], "chol": [233.0, None, 204.5, 310.0], "sex": ["m", "f", "m", "f"]})


def files_of(train: str) -> dict[str, bytes]:
    """An app whose ``train(message, context)`` is these lines; `answer` makes its reply's content."""
    body = "".join(f"    {line}\n" for line in train.strip("\n").split("\n"))
    client = f"{CLIENT}\n@app.train()\ndef train(message, context):\n{body}"
    return {
        "pyproject.toml": PROJECT.encode(),
        "little/__init__.py": b"",
        "little/client.py": client.encode(),
        "little/server.py": SERVER.encode(),
    }


def archive(files: Mapping[str, bytes], manifest: str | None = None) -> bytes:
    """A bundle of these files, in their order, with a manifest that is true unless another is given."""
    if manifest is None:
        manifest = "\n".join(
            f"{path},{hashlib.sha256(content).hexdigest()},{8 * len(content)}"
            for path, content in files.items()
        )
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as made:
        for path, content in {**files, ".info/CONTENT": manifest.encode()}.items():
            made.writestr(zipfile.ZipInfo(path, (2024, 10, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def message(kind: str = "train", arrays: Mapping[str, Any] | None = None, **config: Any) -> bytes:
    """A message as the node gives it to an app."""
    from flwr.app import Array, ArrayRecord, ConfigRecord, Message, RecordDict
    from flwr.common.serde import message_to_proto
    from flwr.supercore.task_identity import TaskIdentity

    TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = 7, 1, 7
    content = RecordDict({"config": ConfigRecord(config)})
    if arrays:
        content["arrays"] = ArrayRecord({name: Array(array) for name, array in arrays.items()})
    made = Message(content, dst_node_id=3, message_type=kind)
    made.metadata.__dict__["_message_id"] = "0" * 64
    return bytes(message_to_proto(made).SerializeToString())


def seen(reply: bytes) -> dict[str, Any]:
    """What an app put into the record ``seen`` of its reply."""
    from flwr.common.serde import message_from_proto
    from flwr.proto.message_pb2 import Message

    return dict(message_from_proto(Message.FromString(reply)).content["seen"])


def partition_in(folder: Path, table: pa.Table = TABLE) -> Path:
    path = folder / "partition.parquet"
    if not path.exists():
        parquet.write_table(table, path)
        path.chmod(0o644)
    return path


@contextlib.contextmanager
def running(
    folder: Path, bundle: bytes | Mapping[str, bytes], *, hidden: tuple[Path, ...] = (), **changed: Any
) -> Iterator[AppProcess]:
    """An app's process over the small table; `changed` are fields of `AppTask`, and limits by their names."""
    content = bundle if isinstance(bundle, bytes) else archive(bundle)
    limits = {name: changed.pop(name) for name in AppLimits.__struct_fields__ if name in changed}
    task = {
        "job_id": "ab" * 32,
        "bundle": content,
        "bundle_hash": hashlib.sha256(content).hexdigest(),
        "run_config": {"learning-rate": 0.01, "local-epochs": 1},
        "node_config": {"partition-id": 0, "num-partitions": 4},
        "run_id": 7,
        "node_id": 3,
        "partition": partition_in(folder),
        "rows": 4,
        "limits": AppLimits(**{"memory_mib": 1024, "call_timeout_s": 60} | limits),
    }
    process = start_app(AppTask(**task | changed), folder / "apps", hidden=hidden)
    try:
        yield process
    finally:
        process.close()


def need_sandbox() -> None:
    """Skip without bubblewrap, and say so; where CI runs it must not be missing."""
    try:
        check_sandbox()
    except InvalidInput as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(error.message)
