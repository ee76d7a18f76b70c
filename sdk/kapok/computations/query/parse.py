"""From the parser's tree to a `Question`: SELECT, FROM and GROUP BY. The filter is read by `parse_filter`."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final

from sqlglot import exp

from kapok.computations.query.hints import refuse, shown
from kapok.computations.query.names import aggregate_of, column_of, identifier_of
from kapok.computations.query.params import DatasetReference, Item, Question
from kapok.computations.query.parse_filter import parse_filter
from kapok.computations.query.reading import MOST_BYTES, read_select, strict
from kapok.documents.dataset import Dataset, DomainValue
from kapok.errors import InternalError

__all__ = ["MOST_WORDS", "parse", "reference_of"]

MOST_WORDS: Final = 100_000

_REFERENCE: Final = re.compile(r"([a-z][a-z0-9_]{0,62})@([0-9a-f]{4,64})\Z")
_ALIAS: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}\Z")
_SELECT_PARTS: Final = ("expressions", "from_", "where", "group")


def parse(sql: str, dataset: Dataset) -> Question:
    """Read a question over the dataset. See `Question.parse`."""
    try:
        question = _question(read_select(sql), dataset)
        written = question.sql
        if written != sql:
            # The canonical text is what travels and what nodes parse: it must keep within the limits too.
            if len(written.encode()) > MOST_BYTES:
                raise refuse(
                    "the question is too long when written out", "ask for less at once", "question_too_long"
                )
            if _question(read_select(written), dataset) != question:
                raise InternalError("the written question says something else than the one asked")
    except RecursionError:
        raise refuse("the question is nested too deeply", "simplify it", "question_too_long") from None
    return question


def reference_of(sql: str) -> DatasetReference:
    """Read only what stands after FROM. See `dataset_name_of`."""
    return _reference(read_select(sql))


def _reference(select: exp.Select) -> DatasetReference:
    source = select.args.get("from_")
    if source is None:
        raise refuse(
            "the question does not say which dataset", "write FROM and the dataset's name", "bad_sql"
        )
    table = source.this
    strict(select, *_SELECT_PARTS)
    strict(source, "this")
    if type(table) is not exp.Table or type(table.this) is not exp.Identifier:
        raise refuse(
            "after FROM stands one dataset's name", "no subquery, no function, no file", "unsupported_sql"
        )
    strict(table, "this")
    name, quoted = str(table.this.this), bool(table.this.args.get("quoted"))
    if quoted and "@" in name:
        found = _REFERENCE.match(name)
        if found is None:
            raise refuse(
                f"{shown(name)} is not a dataset's name with the beginning of its hash",
                'write "name@hash" with at least 4 hexadecimal digits',
                "bad_sql",
            )
        return DatasetReference(found[1], found[2])
    return DatasetReference(identifier_of(table.this), None)


def _question(select: exp.Select, dataset: Dataset) -> Question:
    reference = _reference(select)
    if reference.name != dataset.name:
        raise refuse(
            f"the question asks {shown(reference.name)}, not {dataset.name}",
            f"write FROM {dataset.name}",
            "unknown_dataset",
        )
    if reference.prefix and not sha256(dataset.to_payload()).hexdigest().startswith(reference.prefix):
        raise refuse(
            f"the question asks another version of {dataset.name}, whose hash begins with {reference.prefix}",
            "write the beginning of this dataset's hash, or its name alone",
            "unknown_dataset",
        )
    group_by = _group_by(select.args.get("group"), dataset)
    items = tuple(_item(node, dataset) for node in select.expressions)
    _check_items(items, group_by)
    where = select.args.get("where")
    if where is not None:
        strict(where, "this")
    condition = None if where is None else parse_filter(where.this, dataset)
    axes = tuple(_axis(name, dataset) for name in group_by)
    question = Question(dataset.name, items, condition, group_by, axes)
    if question.words > MOST_WORDS:
        raise refuse(
            f"the question has {question.group_count} groups, too many for one answer",
            f"group by fewer columns: {question.words} words, at most {MOST_WORDS}",
            "too_many_cells",
        )
    return question


def _axis(name: str, dataset: Dataset) -> tuple[DomainValue, ...]:
    axis = dataset.column(name).groups
    if axis is None:
        able = [column.name for column in dataset.columns if column.groups is not None]
        raise refuse(
            f"column {name} has no declared domain, so its groups are not public",
            "group by " + (", ".join(able) or "nothing") + "; or count ranges with WHERE",
            "no_domain",
        )
    return axis


def _group_by(group: exp.Expr | None, dataset: Dataset) -> tuple[str, ...]:
    if group is None:
        return ()
    strict(group, "expressions")
    names: dict[str, None] = {}
    for node in group.expressions:
        if type(node) is not exp.Column:
            raise refuse("GROUP BY names columns only", "write the columns' names, no numbers or expressions")
        names[column_of(node, dataset).name] = None
    return tuple(names)


def _item(node: exp.Expr, dataset: Dataset) -> Item:
    alias = None
    if type(node) is exp.Alias:
        strict(node, "this", "alias")
        alias = _alias(node.args["alias"])
        node = node.this
    if type(node) is exp.Column:
        item = Item("group", column_of(node, dataset).name, "")
    else:
        kind, column = aggregate_of(node, dataset)
        item = Item(kind, column, "")
    return Item(item.kind, item.column, alias or item.default_name)


def _alias(node: exp.Expr) -> str:
    name = str(node.this) if type(node) is exp.Identifier else ""
    if not _ALIAS.match(name):
        raise refuse(
            f"{shown(name)} cannot name a column of the answer",
            "use 1 to 63 of A-Z a-z 0-9 _, beginning with a letter",
            "bad_sql",
        )
    return name if node.args.get("quoted") else name.lower()


def _check_items(items: tuple[Item, ...], group_by: tuple[str, ...]) -> None:
    seen: set[str] = set()
    for item in items:
        if item.kind == "group" and item.column not in group_by:
            raise refuse(
                f"column {item.column} is selected but not grouped by",
                f"add GROUP BY {item.column}, or ask COUNT, SUM or AVG of it: no single rows leave a holder",
                "not_grouped",
            )
        if item.name in seen:
            raise refuse(
                f"two columns of the answer are called {item.name}", "give one of them AS name", "name_twice"
            )
        seen.add(item.name)
    if all(item.kind == "group" for item in items):
        raise refuse("the question asks no COUNT, SUM or AVG", "add COUNT(*)")
