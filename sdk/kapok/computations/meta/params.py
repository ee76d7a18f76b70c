"""A meta-analysis of a model, public to everybody it concerns, and the layout of its words.

META GLM e ON term, … FAMILY name LINK name … ROUNDS number FROM dataset
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kapok.computations.design.sums import Scale
from kapok.computations.glm.params import Model
from kapok.computations.language.hints import refuse
from kapok.computations.widths import random_bits, word_bits
from kapok.documents.dataset import Dataset

__all__ = ["LARGEST", "RULES", "SUMS", "Meta"]

_PREFIX: Final = "META "
LARGEST: Final = 2.0**20
"""Most that a coefficient of a column that is divided by its half-width may be."""

SUMS: Final = 4
"""Of each coefficient."""

RULES: Final = ("table", "not_fitted")
"""What suppresses a meta-analysis beside the rules of its model."""


@dataclass(frozen=True, slots=True)
class Meta:
    """A meta-analysis over one dataset. Made by `parse` only.

    Attributes:
        model: What each holder fits.
        rows_max: Most rows of one of them.
    """

    model: Model
    rows_max: int

    @classmethod
    def parse(cls, text: str, dataset: Dataset) -> Meta:
        """Read a meta-analysis over the dataset.

        Raises:
            InvalidInput: ``bad_sql`` when it does not begin with META; what `Model.parse` raises.
        """
        if text[: len(_PREFIX)].upper() != _PREFIX:
            raise refuse("a meta-analysis begins with META", "write META GLM …", "bad_sql")
        return cls(Model.parse(text[len(_PREFIX) :], dataset), dataset.rows_max)

    @property
    def text(self) -> str:
        """The canonical text."""
        return _PREFIX + self.model.text

    @property
    def substance(self) -> str:
        """What it asks: as its text."""
        return self.text

    @property
    def names(self) -> tuple[str, ...]:
        """Of the coefficients."""
        return tuple(column.name for column in self.model.design.columns)

    @property
    def flags(self) -> tuple[str, ...]:
        """What each flag is of."""
        return (*RULES, *self.model.layout.flags[1:])

    @property
    def scales(self) -> tuple[Scale, ...]:
        """Of the sums of 1/v, b/v, b²/v and 1/v²: a holder's 1/v is at most its rows' information."""
        most = self.model.largest
        bounds = (most, most * LARGEST, most * LARGEST**2, most * most * self.rows_max)
        return tuple(Scale(self.rows_max, bound) for bound in bounds)

    @property
    def words(self) -> int:
        """Flags, holders, rows, and the sums."""
        return len(self.flags) + 2 + SUMS * len(self.names)

    @property
    def rounds(self) -> int:
        """One; the model's own are the holder's alone."""
        return 1

    @property
    def random_bits(self) -> int:
        """Width of the random words that stand for what is suppressed."""
        return random_bits(self.scales[0].bound)

    @property
    def word_bits(self) -> int:
        """Width of a word."""
        return word_bits(self.scales[0].bound)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns that it reads, sorted."""
        return self.model.columns

    @property
    def functions(self) -> tuple[str, ...]:
        """Names of the functions that are applied to single rows, sorted."""
        return self.model.functions

    @property
    def operations(self) -> tuple[str, ...]:
        """As policies list it."""
        return ("meta",)

    def describe(self) -> str:
        """The question as a sentence for a data holder."""
        return (
            "Fits a model to each holder's rows alone and adds up weights, weighted coefficients and squares "
            f"of the fits, so that only their mean and spread are seen. The model: {self.model.describe()}"
        )
