"""One cell: the SQL that casts it to its schema type, and the SQL that says what is wrong with it.

Casts are strict where the engines are generous: ``1.5`` is no integer (DuckDB would round it), ``1e3``
and ``0x10`` are no decimals, ``63.0`` is the integer 63. Dates and timestamps are written as in ISO 8601, the
year first. Midnight is a date, and a date is a timestamp, its midnight; but no time is cut off: a part of a
second is finer than a timestamp. A zoned value is taken in UTC. A text may say that it is (``Z``, ``+00``);
with another offset it cannot be read, for engines differ in what they make of it. Around all these spaces may
stand, ASCII's alone. A text column's cells are taken as they are, no space trimmed. The expressions are built
from names and values of the schema alone, quoted here; what engines say differently is in `spelling`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kapok.documents.dataset import Column
from kapok.nodes.source_settings import OnFault
from kapok.nodes.sources.spelling import SourceColumn, Spelling, literal, quoted

__all__ = ["FAULTS", "Cell", "cell", "treatment"]

FAULTS: Final = {
    "null": "{are} empty, and the schema does not allow it",
    "type": "cannot be read as {type}",
    "resolution": "{are} finer than the resolution",
    "range": "{are} out of bounds or outside the domain",
}
"""What can be wrong with a cell, in the order in which it is looked for: one cell has one fault."""

NEVER: Final = "FALSE"
_ALWAYS: Final = "TRUE"
_NUMBER: Final = "[+-]?([0-9]{1,30}[.]?[0-9]{0,99}|[.][0-9]{1,99})"
_DATE: Final = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK: Final = "[T ](?:[01][0-9]|2[0-3]):[0-5][0-9]"
_SECONDS: Final = "(?::[0-5][0-9])?"
_FRACTION: Final = "(?::[0-5][0-9](?:[.][0-9]{1,9})?)?"
_UTC: Final = "(?:Z|[+]00(?::?00)?)?"
_MIDNIGHT: Final = "[T ]00:00(?::00(?:[.]0*)?)?"
_WHOLE_SECOND: Final = "[^.]*(?:[.]0*)?"
_TRUE: Final = ("true", "t", "1", "1.0")
_FALSE: Final = ("false", "f", "0", "0.0")


@dataclass(frozen=True, slots=True)
class Cell:
    """SQL about the cells of one column.

    Attributes:
        value: The cell in its schema type; NULL stays NULL. Only for a cell that has no fault.
        wrong: For each fault a condition that is true or false, never NULL; `NEVER` where none can be.
        clipped: For a cell that is out of bounds the bound that it is beyond; None where there are none.
    """

    value: str
    wrong: dict[str, str]
    clipped: str | None = None

    def treated(self, does: dict[str, OnFault]) -> str:
        """The value of every cell of a table that was not refused."""
        value = self.value
        if does["range"] == "clip" and self.wrong["range"] != NEVER:
            value = f"CASE WHEN {self.wrong['range']} THEN {self.clipped} ELSE {value} END"
        missing = [self.wrong[fault] for fault in FAULTS if does[fault] == "missing"]
        if missing := [condition for condition in missing if condition != NEVER]:
            value = f"CASE WHEN {' OR '.join(missing)} THEN NULL ELSE {value} END"
        return value


def treatment(column: Column, on_fault: OnFault) -> dict[str, OnFault]:
    """For each fault what becomes of the cell: null where the schema allows it, or the bound."""
    other: OnFault = "missing" if column.nullable and on_fault != "refuse" else "refuse"
    bounded = column.domain is None and column.type not in ("text", "boolean")
    return {
        "null": "refuse",
        "type": other,
        "resolution": other,
        "range": "clip" if on_fault == "clip" and bounded else other,
    }


def cell(column: Column, source: SourceColumn, spelling: Spelling) -> Cell:
    """Return the SQL for a schema column that lies in the source so."""
    raw = quoted(source.name)
    match column.type:
        case "text":
            return _text(column, raw, source, spelling)
        case "boolean":
            return _boolean(column, raw, source, spelling)
        case "integer" | "decimal":
            return _number(column, raw, source, spelling)
        case "date" | "timestamp":
            return _moment(column, raw, source, spelling)


def _conditions(column: Column, raw: str, readable: str, fine: str, inside: str) -> dict[str, str]:
    """The four conditions; each looks only at cells that have passed those before it."""
    passed, found = [f"{raw} IS NOT NULL"], {"null": NEVER if column.nullable else f"{raw} IS NULL"}
    for fault, good in (("type", readable), ("resolution", fine), ("range", inside)):
        found[fault] = NEVER
        if good != _ALWAYS:
            found[fault] = f"({' AND '.join(passed)} AND NOT coalesce({good}, FALSE))"
            passed.append(f"coalesce({good}, FALSE)")
    return found


def _unreadable(column: Column, raw: str, sql_type: str) -> Cell:
    return Cell(f"CAST(NULL AS {sql_type})", _conditions(column, raw, "FALSE", _ALWAYS, _ALWAYS))


def _text(column: Column, raw: str, source: SourceColumn, spelling: Spelling) -> Cell:
    if source.kind != "text":
        return _unreadable(column, raw, spelling.text_type)
    value = spelling.text(raw)
    domain = ", ".join(literal(str(one)) for one in column.domain or ())
    return Cell(value, _conditions(column, raw, _ALWAYS, _ALWAYS, f"{value} IN ({domain})"))


def _boolean(column: Column, raw: str, source: SourceColumn, spelling: Spelling) -> Cell:
    if source.kind == "boolean":
        return Cell(raw, _conditions(column, raw, _ALWAYS, _ALWAYS, _ALWAYS))
    if source.kind not in ("text", "whole"):
        return _unreadable(column, raw, "BOOLEAN")
    text = f"lower({spelling.trimmed(raw)})"
    yes = ", ".join(map(literal, _TRUE))
    known = ", ".join(map(literal, _TRUE + _FALSE))
    return Cell(f"({text} IN ({yes}))", _conditions(column, raw, f"{text} IN ({known})", _ALWAYS, _ALWAYS))


def _number(column: Column, raw: str, source: SourceColumn, spelling: Spelling) -> Cell:
    narrow = "BIGINT" if column.type == "integer" else f"DECIMAL(18, {column.decimals})"
    match source.kind:
        case "double" | "float":
            # It is the decimal whose nearest binary fraction it is, or it lies between two steps.
            number = spelling.nearest(raw, source.kind, column.decimals)
            binary = spelling.double if source.kind == "double" else spelling.float_type
            readable, fine = f"{number} IS NOT NULL", f"CAST({number} AS {binary}) = {raw}"
        case "text":
            text = spelling.trimmed(raw)
            number = spelling.parsed(text, _NUMBER, column.decimals)
            readable = f"{number} IS NOT NULL"
            fine = spelling.matches(text, f"[^.]*([.][0-9]{{0,{column.decimals}}}0*)?")
        case "whole" | "exact":
            whole = source.kind == "whole"
            number = raw if whole and not column.decimals else spelling.fixed(raw, source, column.decimals)
            readable = _ALWAYS if number is raw else f"{number} IS NOT NULL"
            fine = _ALWAYS if whole else f"{number} = {raw}"
        case _:
            return _unreadable(column, raw, narrow)
    if column.domain is not None:
        inside = f"{number} IN ({', '.join(str(int(value)) for value in column.domain)})"
        return Cell(f"CAST({number} AS {narrow})", _conditions(column, raw, readable, fine, inside))
    least, most = (_decimal(steps, column.decimals) for steps in column.step_bounds)
    return Cell(
        f"CAST({number} AS {narrow})",
        _conditions(column, raw, readable, fine, f"{number} BETWEEN {least} AND {most}"),
        f"CAST(CASE WHEN {number} < {least} THEN {least} ELSE {most} END AS {narrow})",
    )


def _moment(column: Column, raw: str, source: SourceColumn, spelling: Spelling) -> Cell:
    """A date or a timestamp, looked at as a timestamp: of a date nothing but midnight may be left."""
    is_date = column.type == "date"
    narrow = column.type.upper()
    match source.kind:
        case "text":
            text = spelling.trimmed(raw)
            moment = spelling.parsed_moment(text, _DATE, _CLOCK + _SECONDS, _UTC)
            form = spelling.matches(text, f"{_DATE}(?:{_CLOCK}{_FRACTION}{_UTC})?")
            readable = f"{form} AND {moment} IS NOT NULL"
            rest = f"{_DATE}(?:{_MIDNIGHT}{_UTC})?" if is_date else _WHOLE_SECOND + _UTC
            fine = spelling.matches(text, rest)
        case "date" | "timestamp" | "zoned":
            moment = spelling.moment(raw, source)
            readable = f"{moment} IS NOT NULL"
            fine = spelling.whole_steps(raw, moment, source, 86_400 if is_date else 1)
        case _:
            return _unreadable(column, raw, narrow)
    least, most = (f"CAST({literal(str(bound))} AS TIMESTAMP)" for bound in (column.minimum, column.maximum))
    # A date's bound is its midnight, and so is every date that is fine.
    return Cell(
        f"CAST({moment} AS {narrow})",
        _conditions(column, raw, readable, fine, f"{moment} BETWEEN {least} AND {most}"),
        f"CAST(CASE WHEN {moment} < {least} THEN {least} ELSE {most} END AS {narrow})",
    )


def _decimal(steps: int, decimals: int) -> str:
    """A whole number of steps as an exact literal."""
    if not decimals:
        return f"CAST({steps} AS BIGINT)"
    digits = str(abs(steps)).rjust(decimals + 1, "0")
    sign = "-" if steps < 0 else ""
    text = f"{sign}{digits[:-decimals]}.{digits[-decimals:]}"
    return f"CAST({literal(text)} AS DECIMAL(18, {decimals}))"
