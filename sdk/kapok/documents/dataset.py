"""A dataset: a name and a schema, identified by the hash of its document.

It fixes word width, scale and group order bit for bit, so a node *joins* a dataset by naming the hash, and a
node that disagrees is named. The document is public to every enrolled party: bounds and domains in it are
facts that the holders agreed on, never measured from one holder's data.
"""

from __future__ import annotations

import tomllib
from datetime import date, time
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from kapok.documents.codes import fill_domain
from kapok.documents.columns import (
    NAME,
    Column,
    ColumnType,
    DomainValue,
    bad_dataset,
    check_description,
)
from kapok.errors import InvalidInput, NotFound, near

__all__ = ["DATASET_TYP", "MOST_COLUMNS", "Column", "ColumnType", "Dataset", "DomainValue"]

DATASET_TYP: Final = "kapok-dataset+jws"
MOST_COLUMNS: Final = 1000

_MOST_ROWS: Final = 10**12
_MOST_BYTES: Final = 2**20


class Dataset(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True, dict=True
):
    """A name and a schema. Equal content gives equal bytes, hence one hash.

    Attributes:
        name: Lower-case SQL identifier, what stands after FROM.
        columns: At least one, no name twice.
        rows_max: Largest number of rows that a party may have.
        empty_cells: ``hide``: a cell that nothing falls into is suppressed like any small cell. ``show``: it
            counts as a plain zero. Then a shown cell can be a single holder's, since the others' may be
            empty, and "this holder has none" is told whenever all have none: whoever joins the dataset
            accepts that by its hash.
        description: For people.

    Raises:
        InvalidInput: ``bad_dataset`` when these do not fit together.
    """

    name: str
    columns: tuple[Column, ...]
    rows_max: int
    empty_cells: Literal["hide", "show"] = "hide"
    description: str = ""

    def __post_init__(self) -> None:
        if not NAME.match(self.name):
            raise bad_dataset(
                f"{self.name!r} cannot be the name of a dataset",
                "use 1 to 63 of a-z 0-9 _, beginning with a letter",
            )
        check_description(f"dataset {self.name}", self.description)
        if not 0 < len(self.columns) <= MOST_COLUMNS:
            raise bad_dataset(f"dataset {self.name} has no columns or too many", f"list 1 to {MOST_COLUMNS}")
        names = [column.name for column in self.columns]
        if doubled := sorted({name for name in names if names.count(name) > 1}):
            raise bad_dataset(
                f"dataset {self.name} has two columns called {doubled[0]}", "rename one of them"
            )
        if isinstance(self.rows_max, bool) or not 0 < self.rows_max <= _MOST_ROWS:
            raise bad_dataset(f"rows_max of dataset {self.name} is out of range", f"give 1 to {_MOST_ROWS}")
        if self.empty_cells not in ("hide", "show"):
            raise bad_dataset(f"empty_cells of dataset {self.name} is unknown", "write hide or show")
        if len(self.to_payload()) > _MOST_BYTES:
            raise bad_dataset(f"dataset {self.name} is too large", f"at most {_MOST_BYTES} bytes as JSON")

    def column(self, name: str) -> Column:
        """The column of that name.

        Raises:
            InvalidInput: ``unknown_column``, with near names.
        """
        found = self._by_name.get(name)
        if found is None:
            meant = near(name, self._by_name)
            raise InvalidInput(
                f"dataset {self.name} has no column {name!r}",
                code="unknown_column",
                remedy="did you mean " + " or ".join(meant) + "?"
                if meant
                else "its columns are " + ", ".join(list(self._by_name)[:40]),
            )
        return found

    @cached_property
    def _by_name(self) -> dict[str, Column]:
        return {column.name: column for column in self.columns}

    def to_payload(self) -> bytes:
        """The one JSON form whose SHA-256 identifies the dataset."""
        return msgspec.json.encode(self)

    @classmethod
    def from_payload(cls, payload: bytes) -> Dataset:
        """Read the JSON form.

        Raises:
            InvalidInput: ``bad_dataset`` when it is no dataset, or not in the form that `to_payload` writes.
        """
        if len(payload) > _MOST_BYTES:
            raise bad_dataset("the dataset document is too large", f"at most {_MOST_BYTES} bytes")
        try:
            dataset = msgspec.json.decode(payload, type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise bad_dataset(f"not a dataset document: {error}", "publish it anew") from None
        if dataset.to_payload() != payload:
            raise bad_dataset("the dataset document is not in its one written form", "publish it anew")
        return dataset

    @classmethod
    def from_toml(cls, path: Path | str) -> Dataset:
        """Read a dataset file: the attributes of this class, the columns as ``[[columns]]`` tables.

        Numbers, dates and timestamps may stand there with quotes or without; a domain may come from a file of
        codes (`kapok.documents.codes`).

        Raises:
            NotFound: ``no_such_file``.
            InvalidInput: ``bad_dataset``, naming file and key.
        """
        path = Path(path)
        try:
            raw = path.read_bytes()
        except OSError as error:
            raise NotFound(
                f"cannot read the dataset file {path}: {error.strerror}",
                code="no_such_file",
                remedy="check path and permissions",
            ) from None
        try:
            # Floats as the text that was written: 0.1 is a decimal here, not the double nearest to it.
            table = tomllib.loads(raw.decode(), parse_float=str)
            return msgspec.convert(_as_document(table, path.parent), type=cls)
        except (
            tomllib.TOMLDecodeError,
            UnicodeDecodeError,
            msgspec.ValidationError,
            RecursionError,
        ) as error:
            raise bad_dataset(f"{path}: {error}", "correct the file at that place") from None
        except InvalidInput as error:
            raise bad_dataset(f"{path}: {error.message}", error.remedy or "") from None
        except ValueError:
            # Python reads no integer of thousands of digits, and tomllib lets that through as it is.
            raise bad_dataset(f"{path}: a number is too long", "write at most 18 digits") from None


def _as_document(table: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What TOML reads, with what a document has in place of TOML's own dates and of files of codes."""
    plainly: dict[str, Any] = _as_texts(table)
    columns = plainly.get("columns")
    if isinstance(columns, list):
        plainly["columns"] = [fill_domain(one, folder) if isinstance(one, dict) else one for one in columns]
    return plainly


def _as_texts(value: Any) -> Any:
    """What TOML reads, with its own dates and timestamps as the texts that a document has."""
    if isinstance(value, dict):
        return {key: _as_texts(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_as_texts(one) for one in value]
    return value.isoformat() if isinstance(value, date | time) else value
