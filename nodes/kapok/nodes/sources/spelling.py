"""How an engine says what `cells` has to say: two engines over the same table must read the same values.

Each expression is NULL where it has no answer and never an error, whatever the cell is: an error would end
the check of the whole table.
"""

from __future__ import annotations

import abc
import re
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

__all__ = ["DUCKDB", "POSTGRES", "Kind", "SourceColumn", "Spelling", "literal", "quoted"]

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
        few = f"abs({raw}) < {SURE_STEPS[kind]}e-{decimals}"
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


class PostgresSpelling(Spelling):
    """PostgreSQL. It has no TRY_CAST: each cast stands behind a CASE that lets no other cell to it."""

    text_type, double, float_type = "TEXT", "DOUBLE PRECISION", "REAL"
    _kinds: Final[dict[str, Kind]] = {
        **dict.fromkeys(("int2", "int4", "int8"), "whole"),
        "numeric": "exact",
        "float8": "double",
        "float4": "float",
        **dict.fromkeys(("text", "varchar", "bpchar", "name", "citext"), "text"),
        "bool": "boolean",
        "date": "date",
        "timestamp": "timestamp",
        "timestamptz": "zoned",
    }

    def column(self, name: str, engine_type: str) -> SourceColumn:
        """A column that the server describes so, by the name of its type in the catalogue."""
        return SourceColumn(name, engine_type, self._kinds.get(engine_type, "other"))

    def text(self, raw: str) -> str:
        """See `Spelling`."""
        return f'(CAST({raw} AS TEXT) COLLATE "C")'

    def trimmed(self, raw: str) -> str:
        """See `Spelling`."""
        return f"btrim({self.text(raw)}, ' ')"

    def matches(self, text: str, pattern: str) -> str:
        """See `Spelling`."""
        return f"({text} ~ {literal(f'^(?:{pattern})$')})"

    def parsed(self, text: str, pattern: str, decimals: int) -> str:
        """See `Spelling`."""
        number = self._rounded(f"CAST({text} AS NUMERIC)", decimals)
        return f"CASE WHEN {self.matches(text, pattern)} THEN {number} END"

    def fixed(self, raw: str, column: SourceColumn, decimals: int) -> str:  # noqa: ARG002
        """See `Spelling`."""
        return self._rounded(f"CAST({raw} AS NUMERIC)", decimals)

    def nearest(self, raw: str, kind: str, decimals: int) -> str:
        """See `Spelling`."""
        # Through the shortest text that stands for it: a cast would keep 15 digits.
        number = f"round(CAST(CAST({raw} AS TEXT) AS NUMERIC), {decimals})"
        return f"CASE WHEN abs({raw}) < {SURE_STEPS[kind]}e-{decimals} THEN {number} END"

    def parsed_moment(self, text: str, day: str, clock: str, zone: str) -> str:
        """See `Spelling`."""
        form = self.matches(text, f"{day}(?:{clock})?(?:[.][0-9]+)?{zone}")
        # ISO's year 0000 is what PostgreSQL calls 1 BC, and writes -1.
        year = f"coalesce(nullif(CAST(substr({text}, 1, 4) AS INTEGER), 0), -1)"
        month, of_month = (f"CAST(substr({text}, {at}, 2) AS INTEGER)" for at in (6, 9))
        last = f"extract(day FROM make_date({year}, {month}, 1) + INTERVAL '1 month' - INTERVAL '1 day')"
        time = f"CAST(coalesce(substring({text} FROM '^.{{10}}[T ]([0-9:]{{5,8}})'), '00:00') AS TIME)"
        return (
            f"CASE WHEN {form} THEN CASE WHEN {month} BETWEEN 1 AND 12 THEN "
            f"CASE WHEN {of_month} BETWEEN 1 AND {last} THEN "
            f"make_date({year}, {month}, {of_month}) + {time} END END END"
        )

    def moment(self, raw: str, column: SourceColumn) -> str:
        """See `Spelling`."""
        if column.kind == "date":
            # A date can be later than any timestamp.
            early = f"isfinite({raw}) AND {raw} <= DATE '294246-12-31'"
            return f"CASE WHEN {early} THEN CAST({raw} AS TIMESTAMP) END"
        moment = f"{raw} AT TIME ZONE 'UTC'" if column.kind == "zoned" else raw
        return f"CASE WHEN isfinite({raw}) THEN {moment} END"

    def whole_steps(self, raw: str, moment: str, column: SourceColumn, seconds: int) -> str:  # noqa: ARG002
        """See `Spelling`."""
        unit = literal("second" if seconds == 1 else "day")
        return f"date_trunc({unit}, {moment}) = {moment}"

    def _rounded(self, number: str, decimals: int) -> str:
        few = f"abs({number}) < CAST('1e{WHOLE_DIGITS - decimals}' AS NUMERIC)"
        return f"CASE WHEN {few} THEN round({number}, {decimals}) END"


DUCKDB: Final = DuckDbSpelling()
POSTGRES: Final = PostgresSpelling()
