"""From what a column's cells are like to a column of a schema, or to the reason why it is left out."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, Literal

from kapok.documents.columns import NAME, Column, text_fault
from kapok.errors import counted
from kapok.nodes.drafting.facts import NULL_WORDS, Facts, decimals_of, extremes_of, groups_of, wide
from kapok.nodes.drafting.round import decades, rounded
from kapok.nodes.sources.engine import SourceEngine

__all__ = ["FEWEST_ROWS", "Proposal", "kind_of", "propose", "schema_name"]

FEWEST_ROWS: Final = 5
"""A value that fewer rows have is rare, and is told nobody."""

_MOST_TEXTS: Final = 1000
_MOST_CODES: Final = 20
# Of ten known cells, as many must have a value that is not rare for a column to be one of codes.
_CODED: Final = 9
_COUNTED: Final = 1.1

Kind = Literal["number", "text", "boolean", "date", "timestamp"]


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a draft says of one column of the file.

    Attributes:
        name: In the schema.
        source_name: In the file.
        column: None when it is left out.
        notes: For people: what is noteworthy, or why it is left out. They quote no cell.
    """

    name: str
    source_name: str
    column: Column | None
    notes: tuple[str, ...] = ()


def propose(engine: SourceEngine, found: Sequence[Facts]) -> list[Proposal]:
    """Propose a column, or the reason for none, for each column of the file.

    Raises:
        InvalidInput: ``source_unreadable``.
    """
    kinds = {facts.name: kind_of(facts) for facts in found}
    numbers = [facts for facts in found if kinds[facts.name][0] == "number"]
    decimals = decimals_of(engine, numbers)
    wides = {
        facts.name: wide("x", kind, decimals.get(facts.name) or 0)
        for facts in found
        if (kind := kinds[facts.name][0]) not in (None, "text", "boolean")
        and (kind != "number" or decimals[facts.name] is not None)
    }
    extremes = extremes_of(
        engine, [(facts.source, wides[facts.name]) for facts in found if facts.name in wides]
    )
    names = _names([facts.name for facts in found])
    proposals: list[Proposal] = []
    for facts in found:
        kind, reason = kinds[facts.name]
        if kind == "number" and facts.name not in wides:
            kind, reason = None, "its numbers have more digits than a schema holds: 18, and 9 decimals"
        name = names[facts.name]
        notes = (f"in the file: {facts.name!a}",) if name != facts.name.strip().lower() else ()
        column: Column | None = None
        more: tuple[str, ...] = (reason,)
        if kind == "text":
            column, more = _text(engine, name, facts)
        elif kind is not None:
            exact = wides.get(facts.name) or wide("x", kind)
            column, more = _bounded(engine, name, facts, exact, extremes.get(facts.name))
        proposals.append(Proposal(name, facts.name, column, notes + more))
    return proposals


def kind_of(facts: Facts) -> tuple[Kind | None, str]:
    """What all known cells of a column are, or why they are nothing that a schema has."""
    if facts.known < FEWEST_ROWS:
        return None, f"fewer than {FEWEST_ROWS} of its cells are known in this file"
    if facts.source.kind == "other":
        return None, f"its type in the file, {facts.source.type.split('(')[0]}, is none that a schema has"
    for kind, number in (
        ("number", facts.numbers if not facts.padded else 0),
        ("boolean", facts.truths),
        ("date", facts.days),
        ("timestamp", facts.seconds),
    ):
        if number == facts.known:
            return kind, ""  # type: ignore[return-value]
    if facts.moments == facts.known:
        return None, "its times have parts of a second, or lie outside the years 1 to 9999"
    if facts.source.kind != "text":
        return None, "some cells are not numbers (NaN, infinite), or too large for a schema"
    if facts.elsewhere == facts.known:
        return None, "its dates are not written as 2013-01-31: write them so, in a view or in the file"
    for what, number in (("numbers", facts.numbers - facts.padded), ("dates or times", facts.moments)):
        if number * 10 >= facts.known * _CODED:
            return None, (
                f"nearly all cells are {what}, and some cannot be read as such: mend them, or, if it is one "
                "word that means unknown, draft again with --null WORD"
            )
    return "text", ""


def _names(there: Sequence[str]) -> dict[str, str]:
    """A name in the schema for each in the file; those that a schema may have stay as they are."""
    names = {one: lower for one in there if NAME.match(lower := one.strip().lower())}
    for one in there:
        if one not in names:
            names[one] = schema_name(one, set(names.values()))
    return names


def schema_name(name: str, taken: set[str]) -> str:
    """A name that a schema may have, as near to the file's as can be."""
    plain = unicodedata.normalize("NFKD", name.strip().lower()).encode("ascii", "ignore").decode()
    cleaned = re.sub(r"[^a-z0-9_]+", "_", plain).strip("_") or "column"
    cleaned = (cleaned if cleaned[0].isalpha() else f"c_{cleaned}")[:60]
    return next(
        one
        for number in range(1, len(taken) + 2)
        if (one := cleaned + f"_{number}" * (number > 1)) not in taken
    )


def _text(engine: SourceEngine, name: str, facts: Facts) -> tuple[Column | None, tuple[str, ...]]:
    groups = None
    if facts.distinct <= _MOST_TEXTS * _COUNTED:
        groups = groups_of(engine, None, facts, _MOST_TEXTS)
    if groups is None:
        return None, (f"it has more than {_MOST_TEXTS} different texts: no codes, and a text needs a domain",)
    bad = [value for value in groups if text_fault(value)]
    kept = sorted(value for value, rows in groups.items() if rows >= FEWEST_ROWS and value not in bad)
    if sum(groups[value] for value in kept) * 2 < facts.known:
        return None, (
            f"most of its texts are rare (fewer than {FEWEST_ROWS} rows have them): no codes, and a text "
            "needs a domain",
        )
    column = Column(name=name, type="text", nullable=bool(facts.nulls), domain=tuple(kept))
    notes = _rare(len(groups) - len(kept) - len(bad))
    if words := [value for value in kept if value in NULL_WORDS]:
        notes += (f"if {' or '.join(words)} means unknown, draft again with --null",)
    if bad:
        notes += (
            f"{counted(len(bad), 'text is', 'texts are')} left out that no domain may have: empty, too long, "
            "or with invisible characters",
        )
    return column, notes


def _rare(number: int) -> tuple[str, ...]:
    if not number:
        return ()
    values = counted(number, "value is", "values are")
    return (
        f"{values} left out that fewer than {FEWEST_ROWS} rows have: add what is publicly known to occur",
    )


def _bounded(
    engine: SourceEngine, name: str, facts: Facts, exact: Column, extremes: tuple[Any, Any] | None
) -> tuple[Column, tuple[str, ...]]:
    """A column of another type than text."""
    nullable = bool(facts.nulls)
    if extremes is None:
        return Column(name=name, type="boolean", nullable=nullable), ()
    least, most = extremes
    if exact.type == "integer":
        if coded := _codes(engine, facts, exact):
            kept, rare = coded
            return Column(name=name, type="integer", nullable=nullable, domain=kept), _rare(rare)
        low, high = rounded(least, most)
        return Column(name=name, type="integer", nullable=nullable, minimum=low, maximum=high), ()
    if exact.type == "decimal":
        steps = rounded(*(int(Fraction(end) * 10**exact.decimals) for end in (least, most)))
        low_text, high_text = (_decimal(end, exact.decimals) for end in steps)
        column = Column(
            name=name,
            type="decimal",
            nullable=nullable,
            resolution=exact.resolution,
            minimum=low_text,
            maximum=high_text,
        )
        return column, ()
    first, last = decades(least.year, most.year)
    clock = ("T00:00:00", "T23:59:59") if exact.type == "timestamp" else ("", "")
    column = Column(
        name=name,
        type=exact.type,
        nullable=nullable,
        minimum=f"{first:04}-01-01{clock[0]}",
        maximum=f"{last:04}-12-31{clock[1]}",
    )
    zoned = ("its times are taken in UTC",) if facts.source.kind == "zoned" else ()
    return column, zoned


def _codes(engine: SourceEngine, facts: Facts, exact: Column) -> tuple[tuple[int, ...], int] | None:
    """The integers that are not rare, and how many are, if the column looks like one of codes."""
    if facts.distinct > _MOST_CODES * _COUNTED:
        return None
    groups = groups_of(engine, exact, facts, _MOST_CODES)
    if groups is None:
        return None
    kept = {value: rows for value, rows in groups.items() if rows >= FEWEST_ROWS}
    if sum(kept.values()) * 10 < facts.known * _CODED:
        return None
    return tuple(sorted(kept)), len(groups) - len(kept)


def _decimal(steps: int, decimals: int) -> str | int:
    scale: int = 10**decimals
    whole, part = divmod(abs(steps), scale)
    if not part:
        return whole if steps >= 0 else -whole
    return f"{'-' * (steps < 0)}{whole}.{part:0>{decimals}}".rstrip("0")
