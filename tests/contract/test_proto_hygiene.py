"""What every file under proto/ keeps to, read from the descriptors; and the stubs are what proto/ says."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, FileDescriptor

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(path.stem for path in (ROOT / "proto/kapok/wire/v1").glob("*.proto"))
FLOATS = {FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT}
# A time is seconds since the epoch, or how many. Nothing else is a floating-point number: sums are exact.
TIMES = ("_at", "_s")


def descriptor(name: str) -> FileDescriptor:
    return importlib.import_module(f"kapok.wire.v1.{name}_pb2").DESCRIPTOR


def messages(file: FileDescriptor) -> list[Descriptor]:
    found = list(file.message_types_by_name.values())
    for message in found:
        found.extend(message.nested_types)
    return found


ALL = [descriptor(name) for name in FILES]
MESSAGES = [message for file in ALL for message in messages(file)]
ENUMS: list[EnumDescriptor] = [
    *(enum for file in ALL for enum in file.enum_types_by_name.values()),
    *(enum for message in MESSAGES for enum in message.enum_types),
]
METHODS = [method for file in ALL for service in file.services_by_name.values() for method in service.methods]


def test_there_is_something_to_look_at():
    assert {"analyst", "catalogue", "enrolment", "errors", "node", "officer"} <= set(FILES)
    assert len(MESSAGES) > 30
    assert len(METHODS) > 15
    assert ENUMS


@pytest.mark.parametrize("file", ALL, ids=lambda file: file.name)
def test_the_package_carries_the_version_of_the_wire(file):
    assert file.package == "kapok.wire.v1"
    assert file.name.startswith("kapok/wire/v1/")


@pytest.mark.parametrize("enum", ENUMS, ids=lambda enum: enum.full_name)
def test_zero_of_an_enum_is_unspecified(enum):
    prefix = "".join(f"_{char}" if char.isupper() else char for char in enum.name).strip("_").upper()
    assert [value.name for value in enum.values if value.number == 0] == [f"{prefix}_UNSPECIFIED"]
    assert all(value.name.startswith(f"{prefix}_") for value in enum.values)
    assert [value.number for value in enum.values] == list(range(len(enum.values)))


def test_every_rpc_has_its_own_request_and_response():
    used = Counter(
        name for method in METHODS for name in (method.input_type.full_name, method.output_type.full_name)
    )
    assert [name for name, times in used.items() if times > 1] == []
    assert all(name.startswith("kapok.wire.v1.") for name in used)
    for method in METHODS:
        stem = method.input_type.name.removesuffix("Request")
        assert method.output_type.name == f"{stem}Response"
        assert stem == method.name, f"{method.full_name} is asked with {method.input_type.name}"


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.full_name)
def test_the_fields_of_a_message(message):
    numbers = sorted(field.number for field in message.fields)
    assert numbers == list(range(1, len(numbers) + 1)), "field numbers have a gap"
    for field in message.fields:
        assert field.name == field.name.lower()
        if field.type in FLOATS:
            assert field.name.endswith(TIMES), f"{field.full_name} is a floating-point number and no time"
            assert field.type == FieldDescriptor.TYPE_DOUBLE


def test_every_service_is_served_whole():
    from kapok.wire import services

    class Handler:
        """Nothing is asked of it here: the tables of the services are compared with proto/."""

        def __getattr__(self, name):
            raise AssertionError(name)

    served = {
        make(Handler()).descriptor.full_name
        for make in (
            services.catalogue_service,
            services.analyst_service,
            services.node_service,
            services.enrolment_service,
            services.officer_service,
        )
    }
    assert served == {service.full_name for file in ALL for service in file.services_by_name.values()}


def generate(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "tests/tools/generate_wire.py"), *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_stubs_are_what_proto_says():
    checked = generate("--check")
    assert checked.returncode == 0, checked.stdout + checked.stderr
