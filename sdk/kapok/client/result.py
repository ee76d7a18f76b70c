"""An answer: the pooled values, which cells are suppressed, who took part, and what it cost.

It is an Arrow table underneath, whose metadata say all the rest, so that a file of it is the whole result.
"""

from __future__ import annotations

import html
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from kapok.client.progress import short_name
from kapok.errors import InvalidInput

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from matplotlib.axes import Axes

__all__ = ["SUPPRESSED_NOTE", "Cost", "PartyReport", "Result"]

SUPPRESSED_NOTE: Final = (
    "suppressed: a holder has too few rows for it, or for a cell that it would give back, or no usable table"
)
"""What stands under an answer that has such cells. No more can be promised: how large a cell's random sum is
tells the analyst roughly how many holders suppressed it."""

_METADATA: Final = b"kapok"
_MOST_NUMBERS: Final = 10


class PartyReport(msgspec.Struct, frozen=True):
    """Who took part, and from which state of its data (an opaque word that its node signed)."""

    name: str
    organisation: str
    data_version: str

    @property
    def organisation_name(self) -> str:
        """The organisation without its trust domain."""
        return self.organisation.rpartition("/")[2]


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer took.

    Attributes:
        seconds: From asking, or from taking it up again, until it was open.
        stages: Seconds of each step.
        sealed_bytes: Sealed vectors that the broker received for it.
        bytes_sent: What this analyst's session sent to the broker until then.
        bytes_received: What it received.
    """

    seconds: float
    sealed_bytes: int
    stages: dict[str, float] = {}
    bytes_sent: int = 0
    bytes_received: int = 0


class Labels(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in the table's metadata."""

    job_id: str
    question: str
    dataset: str
    dataset_hash: str
    suppressed: tuple[tuple[int, str], ...]
    parties: tuple[PartyReport, ...]
    cost: Cost
    computation: str = "query"


class _Member(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def organisation(self) -> str: ...
    @property
    def data_version(self) -> str: ...


def reports(members: Sequence[_Member]) -> tuple[PartyReport, ...]:
    """The members of an opened sum as they are kept."""
    return tuple(PartyReport(one.name, one.organisation, one.data_version) for one in members)


@dataclass(frozen=True, eq=False)
class Result:
    """An opened answer. Made by a session; `to_arrow` and `to_pandas` hand it on."""

    _table: pa.Table = field(repr=False)
    _labels: Labels

    @property
    def job_id(self) -> str:
        """The job's identity, lower-case hex."""
        return self._labels.job_id

    @property
    def question(self) -> str:
        """The question as it was asked."""
        return self._labels.question

    @property
    def dataset(self) -> str:
        """The dataset's name."""
        return self._labels.dataset

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in the order of SELECT."""
        return tuple(self._table.column_names)

    @cached_property
    def rows(self) -> list[tuple[Any, ...]]:
        """The rows; None stands for NULL and for what is suppressed, `suppressed` tells which."""
        if not self.columns:
            return []
        return list(zip(*(column.to_pylist() for column in self._table.columns), strict=True))

    @property
    def suppressed(self) -> frozenset[tuple[int, str]]:
        """Row number (from 0) and column name of every cell that a holder had too few rows for."""
        return frozenset(self._labels.suppressed)

    @property
    def undecided(self) -> frozenset[int]:
        """Numbers of the rows (from 0) of which HAVING cannot be told, since it needs what is suppressed."""
        told = (self._table.schema.metadata or {}).get(b"kapok.undecided", b"[]")
        return frozenset(msgspec.json.decode(told, type=tuple[int, ...]))

    @property
    def parties(self) -> tuple[PartyReport, ...]:
        """Who took part, with the version of the data that each answered from."""
        return self._labels.parties

    @property
    def cost(self) -> Cost:
        """What it took, step by step."""
        return self._labels.cost

    @cached_property
    def view(self) -> Any:
        """What people are shown where that is more than a table, such as a fit; else None."""
        from kapok.computations.registry import computation

        view = computation(self._labels.computation).view
        return None if view is None else view(self)

    @property
    def seconds(self) -> float:
        """Seconds from asking until the answer was open."""
        return self.cost.seconds

    @property
    def bytes(self) -> int:
        """Bytes of the sealed vectors that the nodes sent for it."""
        return self.cost.sealed_bytes

    def is_number(self, column: str) -> bool:
        """Whether the column holds numbers."""
        import pyarrow as pa

        kind = self._table.schema.field(column).type
        return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))

    def is_group(self, column: str) -> bool:
        """Whether the column says which group a row is of."""
        metadata = self._table.schema.field(column).metadata or {}
        return bool(metadata.get(b"kapok.kind") == b"group")

    def plot(self, values: Sequence[str] | None = None, *, axes: Axes | None = None) -> Axes:
        """Draw the answer as bars, one cluster for each group; suppressed cells are marked, not drawn.

        Args:
            values: Names of the columns to draw; all that hold numbers when None.
            axes: Where to draw; axes of a new figure when None (``axes.figure.savefig(…)`` writes it).

        Raises:
            InvalidInput: ``no_matplotlib``: it is not installed; ``cannot_plot``: the answer has no groups or
                no numbers, or more than 500 bars.
        """
        from kapok.client.plotting import plot

        return plot(self, values, axes)

    @property
    def undecided_note(self) -> str:
        """What stands under an answer with rows of which HAVING cannot be told."""
        rows = ", ".join(str(number + 1) for number in sorted(self.undecided)[:_MOST_NUMBERS])
        more = ", …" if len(self.undecided) > _MOST_NUMBERS else ""
        return f"undecided: HAVING needs what is suppressed, so these rows stay in any case: {rows}{more}"

    def __repr__(self) -> str:
        """The columns and the size; `to_pandas` and `rows` have the values."""
        return f"<Result of job {self.job_id[:12]}: {len(self.rows)} rows of {', '.join(self.columns)}>"

    def __str__(self) -> str:
        """The answer as a table of text, or as its own kind is shown."""
        if self.view is not None:
            return str(self.view)
        lines = [list(self.columns)]
        for number, row in enumerate(self.rows):
            named = zip(self.columns, row, strict=True)
            lines.append(
                ["suppressed" if (number, name) in self.suppressed else _plain(cell) for name, cell in named]
            )
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        text = [
            "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
        ]
        return "\n".join(text)

    def to_arrow(self) -> pa.Table:
        """The answer as an Arrow table; suppressed cells are null, and named in its metadata."""
        return self._table

    def to_pandas(self) -> pd.DataFrame:
        """The answer as a data frame; suppressed cells are missing; ``frame.attrs["suppressed"]`` names them.

        Raises:
            InvalidInput: ``no_pandas``: pandas is not installed.
        """
        try:
            import pandas
        except ModuleNotFoundError:
            raise InvalidInput(
                "pandas is not installed",
                code="no_pandas",
                remedy="pip install 'kapok[pandas]', or use to_arrow()",
            ) from None
        import pyarrow as pa

        whole: dict[pa.DataType, Any] = {pa.int64(): pandas.Int64Dtype()}
        frame: pd.DataFrame = self._table.to_pandas(types_mapper=whole.get)
        frame.attrs["suppressed"] = [list(cell) for cell in self._labels.suppressed]
        return frame

    def to_document(self) -> dict[str, Any]:
        """The whole result for a JSON document. Decimals stay decimals: write them with all their digits."""
        labels = msgspec.to_builtins(self._labels)
        cost = labels["cost"]
        return {
            "job": self.job_id,
            "question": self.question,
            "dataset": {"name": self.dataset, "hash": self._labels.dataset_hash},
            "columns": list(self.columns),
            "rows": [list(row) for row in self.rows],
            "suppressed": labels["suppressed"],
            "undecided": sorted(self.undecided),
            "parties": labels["parties"],
            **cost,
            **({} if self.view is None else self.view.to_document()),
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the whole result into an Arrow file that only its owner may read.

        Raises:
            InvalidInput: ``bad_file`` when it cannot be written.
        """
        import pyarrow as pa

        from kapok.identity.keyfiles import replace_file

        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, self._table.schema) as writer:
            writer.write_table(self._table)
        replace_file(Path(path), sink.getvalue().to_pybytes())

    @classmethod
    def of(cls, table: pa.Table, labels: Labels) -> Result:
        """A result from its table and all that is said about it."""
        kept = dict(table.schema.metadata or {}) | {_METADATA: msgspec.json.encode(labels)}
        return cls(table.replace_schema_metadata(kept), labels)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Result:
        """Read what `save` wrote.

        Raises:
            InvalidInput: ``bad_result_file``: the file is damaged or of another kind.
        """
        import pyarrow as pa

        try:
            table = pa.ipc.open_file(Path(path).read_bytes()).read_all()
            # Arrow takes what it is given: names and texts that are none would fail where they are shown.
            table.validate(full=True)
            _ = table.column_names
            labels = msgspec.json.decode((table.schema.metadata or {})[_METADATA], type=Labels)
        except (
            pa.ArrowException,
            OSError,
            KeyError,
            UnicodeDecodeError,
            RecursionError,
            msgspec.MsgspecError,
        ):
            raise InvalidInput(
                f"{path} is not a result that Kapok wrote",
                code="bad_result_file",
                remedy="ask the question again",
            ) from None
        return cls(table, labels)

    def _repr_html_(self) -> str:
        """A table for notebooks; everything in it is escaped."""
        if self.view is not None:
            return str(self.view._repr_html_())
        head = "".join(f"<th>{html.escape(name)}</th>" for name in self.columns)
        body = "".join(
            "<tr>"
            + "".join(
                f"<td>{self._cell(number, name, cell)}</td>"
                for name, cell in zip(self.columns, row, strict=True)
            )
            + "</tr>"
            for number, row in enumerate(self.rows)
        )
        who = html.escape(", ".join(short_name(party.name) for party in self.parties))
        foot = f"<p>{html.escape(SUPPRESSED_NOTE)}</p>" if self.suppressed else ""
        foot += f"<p>{html.escape(self.undecided_note)}</p>" if self.undecided else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{foot}<p>{who}</p>"

    def _cell(self, number: int, name: str, cell: object) -> str:
        if (number, name) in self.suppressed:
            return "<i>suppressed</i>"
        return html.escape(_plain(cell))


def _plain(cell: object) -> str:
    """A cell as text, all digits of it."""
    return "" if cell is None else f"{cell:f}" if isinstance(cell, Decimal) else str(cell)
