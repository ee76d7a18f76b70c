"""One cell: the SQL that casts it to its schema type, and the SQL that says what is wrong with it.

Casts are strict where the engine's are generous: ``1.5`` is no integer (the engine would round it), ``1e3``
and ``0x10`` are no decimals, ``63.0`` is the integer 63. Dates and timestamps are written as in ISO 8601, the
year first. Midnight is a date, and a date is a timestamp, its midnight; but no time is cut off: a part of a
second is finer than a timestamp. A zoned value is taken in UTC. A text may say that it is (``Z``, ``+00``);
with another offset it cannot be read, for engines differ in what they make of it. Around all these spaces may
stand, ASCII's alone. A text column's cells are taken as they are, no space trimmed. The expressions are built
from names and values of the schema alone, quoted here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kapok.documents.dataset import Column

__all__ = ["FAULTS", "Cell", "cell", "literal", "quoted"]

FAULTS: Final = {
    "null": "{are} empty, and the schema does not allow it",
    "type": "cannot be read as {type}",
    "resolution": "{are} finer than the resolution",
    "range": "{are} out of bounds or outside the domain",
}
"""What can be wrong with a cell, in the order in which it is looked for: one cell has one fault."""

_NUMBER: Final = "[+-]?([0-9]{1,30}[.]?[0-9]*|[.][0-9]+)"
_DATE: Final = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK: Final = "[T ](?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:[.][0-9]{1,9})?)?"
_UTC: Final = "(?:Z|[+]00(?::?00)?)?"
_MIDNIGHT: Final = "[T ]00:00(?::00(?:[.]0*)?)?"
_WHOLE_SECOND: Final = "[^.]*(?:[.]0*)?"
# What the engine calls the dates and timestamps of a Parquet file, with the SQL of the timestamp in each; a
# zoned one is never cast, for that would take the machine's zone.
_MOMENTS: Final = {
    "DATE": "TRY_CAST({raw} AS TIMESTAMP)",
    "TIMESTAMP": "{raw}",
    "TIMESTAMP_S": "TRY_CAST({raw} AS TIMESTAMP)",
    "TIMESTAMP_MS": "TRY_CAST({raw} AS TIMESTAMP)",
    "TIMESTAMP_NS": "TRY_CAST({raw} AS TIMESTAMP)",
    "TIMESTAMP WITH TIME ZONE": "make_timestamp(epoch_us({raw}))",
    "TIMESTAMPTZ_NS": "make_timestamp(epoch_ns({raw}) // 1000)",
}
_TRUE: Final = ("true", "t", "1", "1.0")
_FALSE: Final = ("false", "f", "0", "0.0")
_SIGNED: Final = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_WHOLE: Final = frozenset(_SIGNED) | {f"U{name}" for name in _SIGNED}


@dataclass(frozen=True, slots=True)
class Cell:
    """SQL about the cells of one column.

    Attributes:
        value: The cell in its schema type; NULL stays NULL. Only for a table that has passed the check.
        wrong: For each fault a condition that is true or false, never NULL.
    """

    value: str
    wrong: dict[str, str]


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def cell(column: Column, source_name: str, source_type: str) -> Cell:
    """Return the SQL for a schema column that lies in the source under a name with the engine's type."""
    raw = quoted(source_name)
    match column.type:
        case "text":
            return _text(column, raw, source_type)
        case "boolean":
            return _boolean(column, raw, source_type)
        case "integer" | "decimal":
            return _number(column, raw, source_type)
        case "date" | "timestamp":
            return _moment(column, raw, source_type)


def _conditions(column: Column, raw: str, readable: str, fine: str, inside: str) -> dict[str, str]:
    """The four conditions; each looks only at cells that have passed those before it."""
    there = f"{raw} IS NOT NULL"
    return {
        "null": "FALSE" if column.nullable else f"{raw} IS NULL",
        "type": f"({there} AND NOT coalesce({readable}, FALSE))",
        "resolution": f"({there} AND coalesce({readable}, FALSE) AND NOT coalesce({fine}, FALSE))",
        "range": f"({there} AND coalesce({readable}, FALSE) AND coalesce({fine}, FALSE)"
        f" AND NOT coalesce({inside}, FALSE))",
    }


def _text(column: Column, raw: str, source_type: str) -> Cell:
    readable = "TRUE" if source_type == "VARCHAR" or source_type.startswith("ENUM") else "FALSE"
    value = f"CAST({raw} AS VARCHAR)"
    domain = ", ".join(literal(str(one)) for one in column.domain or ())
    return Cell(value, _conditions(column, raw, readable, "TRUE", f"{value} IN ({domain})"))


def _boolean(column: Column, raw: str, source_type: str) -> Cell:
    if source_type == "BOOLEAN":
        return Cell(raw, _conditions(column, raw, "TRUE", "TRUE", "TRUE"))
    if source_type != "VARCHAR" and source_type not in _WHOLE:
        return Cell("CAST(NULL AS BOOLEAN)", _conditions(column, raw, "FALSE", "TRUE", "TRUE"))
    text = f"lower({_trimmed(raw)})"
    yes = ", ".join(map(literal, _TRUE))
    known = ", ".join(map(literal, _TRUE + _FALSE))
    return Cell(f"({text} IN ({yes}))", _conditions(column, raw, f"{text} IN ({known})", "TRUE", "TRUE"))


def _number(column: Column, raw: str, source_type: str) -> Cell:
    wide = f"DECIMAL(38, {column.decimals})"
    if source_type in ("FLOAT", "DOUBLE"):
        # A binary fraction is the decimal whose nearest binary fraction it is, or it lies between two steps.
        number = f"TRY_CAST({raw} AS {wide})"
        readable = f"{number} IS NOT NULL"
        fine = f"CAST({number} AS {source_type}) = {raw}"
    elif source_type == "VARCHAR" or source_type in _WHOLE or source_type.startswith("DECIMAL"):
        text = _trimmed(raw)
        number = f"TRY_CAST({text} AS {wide})"
        readable = f"regexp_full_match({text}, {literal(_NUMBER)}) AND {number} IS NOT NULL"
        fine = f"regexp_full_match({text}, '[^.]*([.][0-9]{{0,{column.decimals}}}0*)?')"
    else:
        number, readable, fine = f"CAST(NULL AS {wide})", "FALSE", "TRUE"
    narrow = "BIGINT" if column.type == "integer" else f"DECIMAL(18, {column.decimals})"
    return Cell(
        f"CAST({number} AS {narrow})", _conditions(column, raw, readable, fine, _inside(column, number))
    )


def _moment(column: Column, raw: str, source_type: str) -> Cell:
    """A date or a timestamp, looked at as a timestamp: of a date nothing but midnight may be left."""
    is_date = column.type == "date"
    if source_type == "VARCHAR":
        text = _trimmed(raw)
        moment = (
            f"TRY_CAST(regexp_extract({text}, {literal(f'^({_DATE}(?:{_CLOCK})?){_UTC}$')}, 1) AS TIMESTAMP)"
        )
        readable = (
            f"regexp_full_match({text}, {literal(f'{_DATE}(?:{_CLOCK}{_UTC})?')}) AND {moment} IS NOT NULL"
        )
        rest = f"{_DATE}(?:{_MIDNIGHT}{_UTC})?" if is_date else _WHOLE_SECOND + _UTC
        fine = f"regexp_full_match({text}, {literal(rest)})"
    elif source_type in _MOMENTS:
        moment = _MOMENTS[source_type].format(raw=raw)
        readable = f"coalesce(isfinite({moment}), FALSE)"
        steps, second = (
            (f"epoch_ns({raw})", 10**9) if source_type.endswith("NS") else (f"epoch_us({moment})", 10**6)
        )
        fine = f"{steps} % {second * 86_400 if is_date else second} = 0"
    else:
        moment, readable, fine = "CAST(NULL AS TIMESTAMP)", "FALSE", "TRUE"
    value = f"CAST({moment} AS {column.type.upper()})"
    least, most = (f"CAST({literal(str(bound))} AS TIMESTAMP)" for bound in (column.minimum, column.maximum))
    # A date's bound is its midnight, and so is every date that is fine.
    return Cell(value, _conditions(column, raw, readable, fine, f"{moment} BETWEEN {least} AND {most}"))


def _trimmed(raw: str) -> str:
    # Named, for without it the engine trims every space that Unicode knows, and other programs do not.
    return f"trim(CAST({raw} AS VARCHAR), ' ')"


def _inside(column: Column, number: str) -> str:
    if column.domain is not None:
        return f"{number} IN ({', '.join(str(int(value)) for value in column.domain)})"
    least, most = (_decimal(steps, column.decimals) for steps in column.step_bounds)
    return f"{number} BETWEEN {least} AND {most}"


def _decimal(steps: int, decimals: int) -> str:
    """A whole number of steps as an exact decimal literal."""
    digits = str(abs(steps)).rjust(decimals + 1, "0")
    sign = "-" if steps < 0 else ""
    whole, fraction = (digits[:-decimals], digits[-decimals:]) if decimals else (digits, "")
    text = sign + whole + ("." + fraction if fraction else "")
    return f"CAST({literal(text)} AS DECIMAL(38, {decimals}))"
