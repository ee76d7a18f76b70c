"""How an engine says what `cells` has to say: two engines over the same table must read the same values.

Each expression is NULL where it has no answer and never an error, whatever the cell is: an error would end
the check of the whole table.
"""

from __future__ import annotations

import abc
import re
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

__all__ = ["DUCKDB", "WHOLE_DIGITS", "Kind", "SourceColumn", "Spelling", "literal", "quoted"]

Kind: TypeAlias = Literal[
    "whole", "exact", "double", "float", "text", "boolean", "date", "timestamp", "zoned", "other"
]
"""What a column of the source holds: *exact* is a decimal of fixed point, *zoned* a timestamp with a zone."""

WHOLE_DIGITS: Final = 38
"""Digits of the numbers that are read from text or a decimal, those after the point included."""

SURE_STEPS: Final = {"double": 10**15, "float": 2**22}
"""A binary fraction is read as the decimal whose nearest binary fraction it is. Below so many steps there is
at most one, and every way of rounding finds it; above, two engines may read two."""

_SECOND_US: Final = 10**6
_DECIMAL: Final = re.compile(r"DECIMAL\((\d+),\s*(\d+)\)")


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


@dataclass(frozen=True, slots=True)
class SourceColumn:
    """A column as the source has it.

    Attributes:
        name: As it is written there.
        type: The engine's own word.
        kind: What that is.
    """

    name: str
    type: str
    kind: Kind


class Spelling(abc.ABC):
    """Names of types, and the expressions whose meaning must be the same in every engine."""

    text_type: str
    double: str
    float_type: str

    @abc.abstractmethod
    def text(self, raw: str) -> str:
        """The cell as a text that is compared byte by byte."""

    @abc.abstractmethod
    def trimmed(self, raw: str) -> str:
        """Its text without the spaces of ASCII around it, and no others."""

    @abc.abstractmethod
    def matches(self, text: str, pattern: str) -> str:
        """Whether the whole text is of the pattern, which is one that both engines understand alike."""

    @abc.abstractmethod
    def parsed(self, text: str, pattern: str, decimals: int) -> str:
        """The number that a text of the pattern is, at most `WHOLE_DIGITS` digits."""

    @abc.abstractmethod
    def fixed(self, raw: str, column: SourceColumn, decimals: int) -> str:
        """An integer or decimal with so many decimals, rounded, at most `WHOLE_DIGITS` digits."""

    @abc.abstractmethod
    def nearest(self, raw: str, kind: str, decimals: int) -> str:
        """The decimal next to a binary fraction of fewer than `SURE_STEPS`."""

    @abc.abstractmethod
    def parsed_moment(self, text: str, day: str, clock: str, zone: str) -> str:
        """The timestamp that a text is, without its part of a second."""

    @abc.abstractmethod
    def moment(self, raw: str, column: SourceColumn) -> str:
        """The timestamp, in UTC, of the engine's dates and timestamps; NULL where there is none."""

    @abc.abstractmethod
    def whole_steps(self, raw: str, moment: str, column: SourceColumn, seconds: int) -> str:
        """Whether the moment of the cell is a whole multiple of that many seconds."""


class DuckDbSpelling(Spelling):
    """DuckDB."""

    text_type, double, float_type = "VARCHAR", "DOUBLE", "FLOAT"
    # A zoned one is never cast, for that would take the machine's zone.
    _moments: Final = {
        "TIMESTAMP": "{raw}",
        "TIMESTAMP WITH TIME ZONE": "make_timestamp(epoch_us({raw}))",
        "TIMESTAMPTZ_NS": "make_timestamp(epoch_ns({raw}) // 1000)",
    }
    _signed: Final = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
    _kinds: Final[dict[str, Kind]] = {
        **dict.fromkeys((*_signed, *(f"U{name}" for name in _signed)), "whole"),
        "DOUBLE": "double",
        "FLOAT": "float",
        "VARCHAR": "text",
        "BOOLEAN": "boolean",
        "DATE": "date",
        "TIMESTAMP": "timestamp",
        "TIMESTAMP_S": "timestamp",
        "TIMESTAMP_MS": "timestamp",
        "TIMESTAMP_NS": "timestamp",
        "TIMESTAMP WITH TIME ZONE": "zoned",
        "TIMESTAMPTZ_NS": "zoned",
    }

    def column(self, name: str, engine_type: str) -> SourceColumn:
        """A column that DuckDB describes so."""
        kind = self._kinds.get(engine_type, "other")
        if engine_type.startswith("DECIMAL("):
            kind = "exact"
        elif engine_type.startswith("ENUM("):
            kind = "text"
        return SourceColumn(name, engine_type, kind)

    def text(self, raw: str) -> str:
        """See `Spelling`."""
        return f"CAST({raw} AS VARCHAR)"

    def trimmed(self, raw: str) -> str:
        """See `Spelling`."""
        # Named, for without it the engine trims every space that Unicode knows, and other programs do not.
        return f"trim({self.text(raw)}, ' ')"

    def matches(self, text: str, pattern: str) -> str:
        """See `Spelling`."""
        return f"regexp_full_match({text}, {literal(pattern)})"

    def parsed(self, text: str, pattern: str, decimals: int) -> str:
        """See `Spelling`."""
        number = f"TRY_CAST({text} AS DECIMAL({WHOLE_DIGITS}, {decimals}))"
        return f"CASE WHEN {self.matches(text, pattern)} THEN {number} END"

    def fixed(self, raw: str, column: SourceColumn, decimals: int) -> str:
        """See `Spelling`."""
        digits = WHOLE_DIGITS
        if declared := _DECIMAL.match(column.type):
            # 64 bits where they do: the engine is several times as fast on them.
            digits = 18 if int(declared[1]) - int(declared[2]) + decimals <= 18 else WHOLE_DIGITS
        return f"TRY_CAST({raw} AS DECIMAL({digits}, {decimals}))"

    def nearest(self, raw: str, kind: str, decimals: int) -> str:
        """See `Spelling`."""
        few = f"abs({raw}) < {SURE_STEPS[kind] // 10**decimals}"
        return f"CASE WHEN {few} THEN TRY_CAST({raw} AS DECIMAL(18, {decimals})) END"

    def parsed_moment(self, text: str, day: str, clock: str, zone: str) -> str:
        """See `Spelling`."""
        whole = f"^({day}(?:{clock})?)(?:[.][0-9]+)?{zone}$"
        return f"TRY_CAST(regexp_extract({text}, {literal(whole)}, 1) AS TIMESTAMP)"

    def moment(self, raw: str, column: SourceColumn) -> str:
        """See `Spelling`."""
        moment = self._moments.get(column.type, "TRY_CAST({raw} AS TIMESTAMP)").format(raw=raw)
        return f"CASE WHEN isfinite({moment}) THEN {moment} END"

    def whole_steps(self, raw: str, moment: str, column: SourceColumn, seconds: int) -> str:
        """See `Spelling`."""
        if column.type.endswith("NS"):
            return f"epoch_ns({raw}) % {seconds * 10**9} = 0"
        return f"epoch_us({moment}) % {seconds * _SECOND_US} = 0"


DUCKDB: Final = DuckDbSpelling()
