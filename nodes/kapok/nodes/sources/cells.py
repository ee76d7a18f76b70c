"""One cell: the SQL that casts it to its schema type, and the SQL that says what is wrong with it.

Casts are strict where the engine's are generous: ``1.5`` is no integer (the engine would round it), ``1e3``
and ``0x10`` are no decimals, ``63.0`` is the integer 63. Around a number or a boolean spaces may stand,
ASCII's alone. A text column's cells are taken as they are, no space trimmed. The expressions are built from
names and values of the schema alone, quoted here.
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
