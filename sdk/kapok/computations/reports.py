"""Answers that are more than a table: a report beside it, and how people read both.

The table's metadata have the report as JSON under ``kapok.report``, so that a file of it is the whole answer.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, Protocol, TypeVar, cast

import msgspec

from kapok.errors import InvalidInput

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from matplotlib.axes import Axes

__all__ = [
    "METADATA",
    "Report",
    "Reported",
    "Shown",
    "left_out",
    "new_axes",
    "number_text",
    "p_text",
    "reported",
]

METADATA: Final = b"kapok.report"
_LEAST_P: Final = 0.0001


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What every report says.

    Attributes:
        text: The question's canonical text.
        status: ``complete``, or in one word what hinders it.
        reasons: What the status is about.
    """

    text: str
    status: str
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reported:
    """An answer whose table has a report.

    Attributes:
        table: As `reported` makes it.
        suppressed: Nothing: what is suppressed is no cell, or the report names it.
    """

    table: pa.Table
    suppressed: tuple[tuple[int, str], ...] = ()

    def to_arrow(self) -> pa.Table:
        """The table."""
        return self.table


Cells = Sequence[str | None] | Sequence[int | None] | Sequence[float | None]


def reported(report: Report, columns: Mapping[str, tuple[str, Cells]]) -> Reported:
    """A report and its table.

    Args:
        report: What is said beside.
        columns: For each column by name its type (``string``, ``int64`` or ``double``) and its cells.
    """
    import pyarrow as pa

    arrays = []
    for kind, cells in columns.values():
        # By way of text: `pyarrow.array` would import pandas wherever that is installed. Nothing is lost.
        builder = pa.lib.StringBuilder()
        for cell in cells:
            builder.append(None if cell is None else str(cell))
        arrays.append(builder.finish().cast(kind))
    table = pa.Table.from_arrays(arrays, names=list(columns))
    return Reported(table.replace_schema_metadata({METADATA: msgspec.json.encode(report)}))


class Result(Protocol):
    """What is known of a result, of whatever kind."""

    @property
    def job_id(self) -> str: ...
    @property
    def parties(self) -> Sequence[Any]: ...
    def to_arrow(self) -> pa.Table: ...


_Report = TypeVar("_Report", bound=Report)


class Shown(Generic[_Report]):
    """A report and its table as people read them: in text, in a notebook, as a data frame.

    A kind of question says of what `kind` its report is, its `title`, its `messages` by status, and its
    `facts`.
    """

    kind: ClassVar[type[Report]]
    title: ClassVar[str]
    messages: ClassVar[Mapping[str, str]] = {}

    def __init__(self, result: Result) -> None:
        self.result = result
        metadata = result.to_arrow().schema.metadata or {}
        self.report = cast("_Report", msgspec.json.decode(metadata[METADATA], type=self.kind))

    @property
    def status(self) -> str:
        """``complete``, or what hinders it."""
        return self.report.status

    @property
    def reasons(self) -> tuple[str, ...]:
        """What the status is about."""
        return self.report.reasons

    @property
    def message(self) -> str:
        """What hinders it and what helps, in words; empty when nothing does."""
        return self.messages.get(self.status, "").format(", ".join(self.reasons))

    @property
    def parties(self) -> Sequence[Any]:
        """Who took part, with the version of the data that each answered from."""
        return self.result.parties

    @property
    def job_id(self) -> str:
        """The job's identity, lower-case hex."""
        return self.result.job_id

    @property
    def facts(self) -> Sequence[tuple[str, str]]:
        """The single numbers, for people."""
        return ()

    def to_arrow(self) -> pa.Table:
        """The table; its metadata have the report."""
        return self.result.to_arrow()

    def to_pandas(self) -> pd.DataFrame:
        """The table as a data frame.

        Raises:
            InvalidInput: ``no_pandas``.
        """
        try:
            import pandas  # noqa: F401
        except ModuleNotFoundError:
            raise InvalidInput(
                "pandas is not installed",
                code="no_pandas",
                remedy="pip install 'kapok[pandas]', or use to_arrow()",
            ) from None
        frame: pd.DataFrame = self.to_arrow().to_pandas()
        return frame

    def to_document(self) -> dict[str, Any]:
        """The report as part of a JSON document."""
        return {"report": msgspec.to_builtins(self.report) | {"message": self.message or None}}

    def summary(self) -> str:
        """All of it as text."""
        titles, lines = self._lines
        wide = [max(len(line[place]) for line in [titles, *lines]) for place in range(len(titles))]
        texts = self._texts
        body = [
            "  ".join(
                cell.ljust(width) if is_text else cell.rjust(width)
                for cell, width, is_text in zip(line, wide, texts, strict=True)
            ).rstrip()
            for line in [titles, *lines]
        ]
        facts = [f"{name}: {fact}" for name, fact in self.facts]
        parts = [[self.title], facts, body if lines else [], [self.message] if self.message else []]
        return "\n\n".join("\n".join(part) for part in parts if part)

    __str__ = summary

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.status}>"

    def _repr_html_(self) -> str:
        """All of it for notebooks; everything in it is escaped."""
        titles, lines = self._lines
        facts = "".join(
            f"<tr><th>{html.escape(name)}</th><td>{html.escape(fact)}</td></tr>" for name, fact in self.facts
        )
        head = "".join(f"<th>{html.escape(title)}</th>" for title in titles)
        rows = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in line) + "</tr>" for line in lines
        )
        body = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>" if rows else ""
        note = f"<p><b>{html.escape(self.message)}</b></p>" if self.message else ""
        return f"<p>{html.escape(self.title)}</p><table>{facts}</table>{body}{note}"

    @property
    def _texts(self) -> list[bool]:
        return [str(field.type) == "string" for field in self.to_arrow().schema]

    @property
    def _lines(self) -> tuple[list[str], list[list[str]]]:
        table = self.to_arrow()
        lines = [
            [_cell(name, cell) for name, cell in zip(table.column_names, line, strict=True)]
            for line in zip(*(column.to_pylist() for column in table.columns), strict=True)
        ]
        return table.column_names, lines


def _cell(name: str, cell: object) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float):
        return p_text(cell) if name == "p_value" else number_text(cell)
    return str(cell)


def left_out(absent: Sequence[str]) -> str:
    """Of levels that nobody has, for people; nothing where there are none."""
    return f"LEFT OUT: {', '.join(absent)}, which no row has." if absent else ""


def number_text(value: float | None) -> str:
    """A number for people; nothing for none."""
    if value is None:
        return ""
    if value and not 1e-3 <= abs(value) < 1e6:
        return f"{value:.3e}"
    return f"{value:.4f}"


def p_text(value: float | None) -> str:
    """A probability for people; nothing for none."""
    if value is None:
        return ""
    return f"{value:.4f}" if value >= _LEAST_P else f"{value:.1e}"


def new_axes() -> Axes:
    """Where an answer is drawn that was given no place.

    Raises:
        InvalidInput: ``no_matplotlib``: it is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise InvalidInput(
            "matplotlib is not installed", code="no_matplotlib", remedy="pip install 'kapok[plot]'"
        ) from None
    # A figure of its own, not pyplot's: nothing is kept open, and a notebook shows it all the same.
    return Figure(layout="constrained").add_subplot()
