"""The draft as TOML, in which every line that is about values says that people have to agree on it."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Sequence
from typing import Final

from kapok.documents.columns import Column
from kapok.documents.dataset import Dataset
from kapok.errors import plain
from kapok.nodes.drafting.columns import FEWEST_ROWS, Proposal
from kapok.nodes.settings import ArrowSource, CsvSource
from kapok.nodes.sources.formats import Files

__all__ = ["write"]

_WIDTH: Final = 110
_HEAD: Final = f"""\
A draft of a schema, made from one holder's file: a starting point. Everything in a schema becomes public,
and every holder's table has to fit it. So bounds and domains are facts to agree on, from code lists,
instruments, laws, what is known of the matter, and not to be taken from one holder's rows as they are: the
bounds here are that file's, widened to round numbers, and the domains are its values, but for those that
fewer than {FEWEST_ROWS} rows have.
Read every line; then `kapok dataset publish`.
"""
_BOUND: Final = "public: agree on a limit, do not take it from rows"
_DOMAIN: Final = "public: agree on the values, do not take them from rows"
_RESOLUTION: Final = "public: the finest step in this file; agree on one"
_FULL: Final = "public: no empty cell in this file; agree on whether others may have some"
_EMPTY: Final = "public: this file has empty cells"
_ROWS: Final = "public: agree on the largest number of rows that a holder may have"
_CELLS: Final = 'public: "show" tells whether all holders have nobody in a cell; agree on it'


def write(dataset: Dataset, proposals: Sequence[Proposal], source: Files) -> str:
    """The schema with its comments, the columns that are left out, and how a node would read the file.

    Args:
        dataset: What the text is to say.
        proposals: One for each column of the file.
        source: How the file was read.
    """
    lines = [
        *_comment(_HEAD),
        "",
        f"name = {_text(dataset.name)}",
        '# description = "What a row is, and how it came into the table."',
        f"rows_max = {dataset.rows_max}  # {_ROWS}",
        f"empty_cells = {_text(dataset.empty_cells)}  # {_CELLS}",
    ]
    for proposal in proposals:
        lines += ["", *_proposal(proposal)]
    lines += ["", *_source(proposals, source)]
    return "\n".join(lines) + "\n"


def _proposal(proposal: Proposal) -> Iterable[str]:
    if proposal.column is None:
        yield from _comment(f"Left out: {plain(proposal.source_name)}: {'; '.join(proposal.notes)}.")
        return
    for one in proposal.notes:
        yield from _comment(f"{one[0].upper()}{one[1:]}.")
    yield from _column(proposal.column)


def _column(column: Column) -> Iterable[str]:
    yield "[[columns]]"
    yield f"name = {_text(column.name)}"
    yield f"type = {_text(column.type)}"
    yield f"nullable = {str(column.nullable).lower()}  # {_EMPTY if column.nullable else _FULL}"
    if column.resolution is not None:
        yield f"resolution = {_text(column.resolution)}  # {_RESOLUTION}"
    for key, bound in (("minimum", column.minimum), ("maximum", column.maximum)):
        if bound is not None:
            yield f"{key} = {_value(bound)}  # {_BOUND}"
    if column.domain is not None:
        yield from _domain(column.domain)
    yield '# unit = ""'
    yield '# description = ""'


def _domain(domain: tuple[str | int, ...]) -> Iterable[str]:
    values = [_value(one) for one in domain]
    short = f"domain = [{', '.join(values)}]  # {_DOMAIN}"
    if len(short) <= _WIDTH:
        yield short
        return
    yield f"domain = [  # {_DOMAIN}"
    line = "   "
    for value in values:
        if len(line) + len(value) + 2 > _WIDTH and line.strip():
            yield line
            line = "   "
        line += f" {value},"
    yield line
    yield "]"


def _source(proposals: Sequence[Proposal], source: Files) -> Iterable[str]:
    """How a holder of such a file would name it, in comments: the draft is no node's settings."""
    kind = (
        "csv" if isinstance(source, CsvSource) else "arrow" if isinstance(source, ArrowSource) else "parquet"
    )
    yield from _comment("How this file is named in its holder's node.toml (the path is that at the node):")
    yield "# [datasets.NAME.source]"
    yield f"# format = {_text(kind)}"
    yield f"# path = {_text(source.path.name)}"
    renamed = {
        one.name: one.source_name
        for one in proposals
        if one.column is not None and one.name != one.source_name.strip().lower()
    }
    if renamed:
        pairs = ", ".join(f"{name} = {_text(there)}" for name, there in renamed.items())
        yield f"# rename = {{{pairs}}}"
    if not isinstance(source, CsvSource):
        return
    if source.columns:
        yield "# header = false"
        yield f"# columns = [{', '.join(map(_text, source.columns))}]"
    if source.delimiter != ",":
        yield f"# delimiter = {_text(source.delimiter)}"
    nulls = source.nulls
    if nulls != ("",):
        yield f"# null = {_text(nulls[0]) if len(nulls) == 1 else '[' + ', '.join(map(_text, nulls)) + ']'}"


def _comment(text: str) -> Iterable[str]:
    for paragraph in text.strip().split("\n"):
        yield from textwrap.wrap(
            paragraph, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False
        )


def _text(text: str) -> str:
    # A basic string of TOML takes JSON's escapes; what has no shape is escaped besides.
    return "".join(
        char if char.isprintable() else f"\\U{ord(char):08x}" for char in json.dumps(text, ensure_ascii=False)
    )


def _value(value: str | int) -> str:
    return str(value) if isinstance(value, int) else _text(value)
