"""The cast: four hospitals with a file each, what their nodes' settings say, what an analyst asks them."""

from __future__ import annotations

import importlib.resources
import shutil
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final, Literal

from kapok.demo.scenario import ANALYST_PATTERN, Scenario, party_of

__all__ = ["HEART", "HOSPITALS", "QUESTIONS", "Hospital", "Rules"]

_COLUMNS: Final = (
    "age", "sex", "cp", "trestbps", "chol", "fbs", "restecg", "thalach", "exang", "oldpeak", "slope", "ca",
    "thal", "num",
)  # fmt: skip

QUESTIONS: Final = (
    "SELECT COUNT(*), AVG(age), AVG(thalach), SUM(oldpeak) FROM heart",
    "SELECT sex, COUNT(*), AVG(age), AVG(thalach) FROM heart GROUP BY sex",
    "SELECT cp, COUNT(*), AVG(oldpeak), COUNT(ca) FROM heart WHERE age >= 50 GROUP BY cp",
)
"""Everything shown; 6 women at one hospital hidden; a column that three hospitals hardly measured."""


def _heart() -> Traversable:
    return importlib.resources.files("kapok.demo") / "heart"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a hospital's policy says in the demonstration.

    Attributes:
        analysts: Who may ask.
        min_rows: Least number of rows that a filter must keep.
        min_cell: Least number of rows of a cell.
        approval: ``automatic`` or ``manual``.
        questions: How many questions the analyst's organisation has.
    """

    analysts: str = ANALYST_PATTERN
    min_rows: int = 20
    min_cell: int = 5
    approval: Literal["automatic", "manual"] = "automatic"
    questions: int = 1000

    def policy(self) -> str:
        """The text of policy.toml."""
        return f"""# Written by `kapok demo`. The template that `kapok enroll` writes explains every value.
[[rule]]
analysts = ["{self.analysts}"]
dataset = "heart"
operations = ["count", "sum", "avg", "variance", "covariance", "quantile", "glm", "cox", "meta", "federated"]
columns = ["*"]
questions = {self.questions}
min_rows = {self.min_rows}
min_cell = {self.min_cell}
seals = ["paillier", "pad"]
min_parties = 3
cohort = "fixed"
approval = "{self.approval}"
"""


@dataclass(frozen=True, slots=True)
class Hospital:
    """A hospital of the demonstration, with its name and its policy."""

    name: str
    rules: Rules = Rules()

    @property
    def party(self) -> str:
        """The name of its node."""
        return party_of(self.name)

    def furnish(self, home: Path, broker: str, dataset_hash: str) -> None:
        """Put its file, settings and policy into its node's folder."""
        self.copy_file(home)
        (home / "node.toml").write_text(self.settings(broker, dataset_hash), encoding="utf-8")
        (home / "policy.toml").write_text(self.rules.policy(), encoding="utf-8")

    def copy_file(self, folder: Path) -> Path:
        """Put its patients' file into its own folder."""
        target = folder / f"processed.{self.name}.data"
        with importlib.resources.as_file(_heart().joinpath(target.name)) as path:
            shutil.copyfile(path, target)
        return target

    def settings(self, broker: str, dataset_hash: str) -> str:
        """The text of node.toml."""
        names = ", ".join(f'"{name}"' for name in _COLUMNS)
        return f"""# Written by `kapok demo`. The template that `kapok enroll` writes explains every value.
broker = "{broker}"

[datasets.heart]
hash = "{dataset_hash}"

[datasets.heart.source]
format = "csv"
path = "processed.{self.name}.data"
header = false
columns = [{names}]
null = "?"
"""


HOSPITALS: Final = tuple(Hospital(name) for name in ("cleveland", "hungarian", "switzerland", "va"))


def _schema_file(folder: Path) -> Path:
    """Put the dataset's schema into the analyst's folder."""
    target = folder / "heart.toml"
    with importlib.resources.as_file(
        importlib.resources.files("kapok.demo.heart").joinpath(target.name)
    ) as path:
        shutil.copyfile(path, target)
    return target


HEART: Final = Scenario("heart", _schema_file, HOSPITALS)
