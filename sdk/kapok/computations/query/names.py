"""Names in a question: identifiers, columns, functions."""

from __future__ import annotations

import re
from typing import Final, Literal

from sqlglot import exp

from kapok.computations.query.hints import ASKABLE, of_function, refuse, shown
from kapok.computations.query.reading import strict
from kapok.documents.dataset import Column, Dataset
from kapok.errors import InvalidInput

__all__ = ["aggregate_of", "column_of", "identifier_of", "unsupported"]

_AGGREGATES: Final[dict[type[exp.Expr], Literal["count", "sum", "avg"]]] = {
    exp.Count: "count",
    exp.Sum: "sum",
    exp.Avg: "avg",
}


def identifier_of(node: exp.Expr) -> str:
    """The name: unquoted in lower case, quoted as it stands.

    ASCII only, so that no look-alike passes for another.

    Raises:
        InvalidInput: ``bad_sql``.
    """
    name = str(node.this) if type(node) is exp.Identifier else ""
    # Before lower(): that turns KELVIN SIGN into k.
    if not name or not name.isascii() or not name.isprintable():
        raise refuse(
            f"{shown(name)} is not a name",
            "names have the characters a-z 0-9 _ only; check for look-alikes of other alphabets",
            "bad_sql",
        )
    return name if node.args.get("quoted") else name.lower()


def column_of(node: exp.Expr, dataset: Dataset) -> Column:
    """The dataset's column that the node names, alone or after the dataset's name.

    Raises:
        InvalidInput: ``unknown_column``, ``bad_sql`` or ``unsupported_sql``.
    """
    if type(node) is exp.Column and type(node.this) is exp.Star:
        raise refuse("* cannot stand there: no rows leave a holder", ASKABLE)
    if type(node) is not exp.Column or type(node.this) is not exp.Identifier:
        raise unsupported(node)
    strict(node, "this", "table")
    table = node.args.get("table")
    if table is not None and identifier_of(table) != dataset.name:
        raise refuse(f"the question asks {dataset.name} only", f"write {dataset.name}.column, or column")
    return dataset.column(identifier_of(node.this))


def aggregate_of(
    node: exp.Expr, dataset: Dataset
) -> tuple[Literal["rows", "count", "sum", "avg"], str | None]:
    """Which aggregate of which column a node of the SELECT list is.

    Raises:
        InvalidInput: ``unknown_function``, ``unsupported_sql``, ``type_mismatch`` or ``unknown_column``.
    """
    if type(node) is exp.Star:
        raise refuse("SELECT * would show rows, and no rows leave a holder", ASKABLE)
    kind = _AGGREGATES.get(type(node))
    if kind is None:
        raise unsupported(node)
    strict(node, "this", "big_int")
    argument = node.this
    if kind == "count" and type(argument) is exp.Star:
        strict(argument)
        return "rows", None
    if type(argument) is exp.Distinct:
        raise refuse(
            f"{kind.upper()}(DISTINCT …) cannot be added up over holders",
            "group by the column instead, if it has a domain",
        )
    if type(argument) is not exp.Column or type(argument.this) is not exp.Identifier:
        raise refuse(
            f"{kind.upper()} takes one column", "write its name alone" + ", or *" * (kind == "count")
        )
    column = column_of(argument, dataset)
    if kind != "count" and not column.is_numeric:
        raise refuse(
            f"{kind.upper()} needs numbers, and column {column.name} is {column.type}",
            f"ask COUNT({column.name})" + ", or group by it" * (column.groups is not None),
            "type_mismatch",
        )
    return kind, column.name


def unsupported(node: object) -> InvalidInput:
    """The error that says what a node is, in SQL's words, and what can be asked instead."""
    if isinstance(node, exp.Literal | exp.Null | exp.Boolean | exp.Neg):
        return refuse("a literal cannot stand there", ASKABLE + "; WHERE compares columns with literals")
    if isinstance(node, exp.Anonymous) or (
        isinstance(node, exp.Func) and not isinstance(node, exp.Binary | exp.Case | exp.Cast)
    ):
        return of_function(str(node.this) if isinstance(node, exp.Anonymous) else node.sql_name())
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(node).__name__).upper()
    return refuse(f"{words} is not part of a question", ASKABLE + "; WHERE has comparisons of columns")
