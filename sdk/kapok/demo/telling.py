"""How the demonstration speaks: steps, answers beside the truth, and who held and saw what."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kapok.errors import counted

if TYPE_CHECKING:
    from kapok.demo.comparison import Asked
    from kapok.demo.ledger import Entry
    from kapok.demo.witness import Sample

__all__ = ["Voice", "print_document"]

_PIPED_WIDTH: Final = 140
_MIB: Final = 2**20


def print_document(document: Mapping[str, Any]) -> None:
    """Print one JSON document; decimals are numbers with all their digits."""
    import msgspec

    encoded = msgspec.json.Encoder(decimal_format="number").encode(document)
    sys.stdout.write(msgspec.json.format(encoded, indent=2).decode() + "\n")


class Voice:
    """Tells what happens on stdout, or nothing when `silent`."""

    def __init__(self, *, silent: bool) -> None:
        """Speak, or keep silent."""
        self.silent = silent
        width = None if sys.stdout.isatty() else _PIPED_WIDTH
        self._console = Console(quiet=silent, highlight=False, width=width)

    def step(self, text: str) -> None:
        """Something is being set up."""
        self._console.print(f"[bold]·[/bold] {text}")

    def question(self, sql: str) -> None:
        """A question is about to be asked."""
        self._console.print()
        self._console.print(Text(f'$ kapok query "{sql}"', style="bold"))

    def answer(self, asked: Asked) -> None:
        """The answer, as the analyst sees it, and cell by cell beside the truth."""
        self._console.print(Text(asked.shown.rstrip()))
        verdict = "agree" if asked.comparison.agree else "DO NOT AGREE"
        table = _table(f"beside the pooled truth: {verdict}")
        for column in ("row", "column", "answer", "pooled"):
            table.add_column(column, justify="right" if column in ("answer", "pooled") else "left")
        for row in _cells(asked):
            table.add_row(*row)
        self._console.print(table)

    def ending(
        self,
        asked: Sequence[Asked],
        agree: bool,
        seconds: Mapping[str, float],
        entries: Sequence[Entry],
        sample: Sample | None,
        kept: Path | None,
    ) -> None:
        """What it came to."""
        table = _table("who held and saw what")
        for column in (
            "process",
            "holds",
            "messages sent/received",
            "bytes sent",
            "bytes received",
            "peak memory",
        ):
            table.add_column(column, justify="left" if column in ("process", "holds") else "right")
        for one in entries:
            messages = "" if one.messages_sent is None else f"{one.messages_sent}/{one.messages_received}"
            memory = "" if one.peak_memory is None else f"{one.peak_memory / _MIB:.0f} MiB"
            table.add_row(
                one.name, one.holds, messages, _count(one.bytes_sent), _count(one.bytes_received), memory
            )
        self._console.print(table)
        if sample is not None:
            self._console.print(
                f"what the broker stored: {sample.what}, {sample.size:,} bytes, beginning with"
            )
            self._console.print(f"  {sample.hex}")
        shown = sum(one.comparison.shown for one in asked)
        hidden = sum(one.comparison.suppressed for one in asked)
        largest = max(one.comparison.max_abs_difference for one in asked)
        verdict = "agree with" if agree else "DO NOT AGREE with"
        self._console.print()
        self._console.print(
            f"[bold]{counted(shown, 'cell')} {verdict} the pooled truth[/bold] "
            f"(largest difference {largest:.3g}); "
            f"{counted(hidden, 'cell')} suppressed; {seconds['total']:.1f} s in all"
        )
        if kept is not None:
            self._console.print(Text(f"everything is kept in {kept.absolute()}"))


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)


def _cells(asked: Asked) -> Iterator[tuple[str, str, str, str]]:
    columns, groups = asked.answer["columns"], asked.comparison.groups
    hidden = {(row, column) for row, column in asked.answer["suppressed"]}
    for number, (row, truth) in enumerate(zip(asked.answer["rows"], asked.comparison.pooled, strict=True)):
        label = ", ".join(f"{columns[index]} {row[index]}" for index in groups)
        for index, name in enumerate(columns):
            if index not in groups:
                mine = "suppressed" if (number, name) in hidden else _shown(row[index])
                yield label, name, mine, "" if truth is None else _shown(truth[index])


def _shown(cell: object) -> str:
    return "" if cell is None else f"{cell:.12g}" if isinstance(cell, float | Decimal) else str(cell)


def _count(number: int | None) -> str:
    return "" if number is None else f"{number:,}"
