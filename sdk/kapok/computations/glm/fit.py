"""A fit as people read it: in text, in a notebook, as a data frame; and what it predicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from kapok.computations.design.own_rows import OwnRows
from kapok.computations.design.reasons import in_words
from kapok.computations.glm.params import Model
from kapok.computations.glm.report import FitReport, lines_of, report_statistic
from kapok.computations.reports import Shown, left_out
from kapok.documents.dataset import Dataset
from kapok.errors import InvalidInput

if TYPE_CHECKING:
    import pandas as pd

    from kapok.computations.design.columns import Floats

__all__ = ["Fit"]

_WIDTH: Final = 88
_CELL: Final = 13
_TITLES: Final = ("estimate", "std. error", "", "p", "[0.025", "0.975]")
_WORDS: Final = {
    "converged": "",
    "not_converged": "NOT CONVERGED: these are the coefficients of the last round. Allow more rounds, or ask "
    "for a simpler model.",
    "separated": "SEPARATED: a combination of {} tells the responses apart, so that its coefficients grow "
    "without end; these are the last round's. Leave a column out, or add a ridge penalty.",
    "suppressed": "SUPPRESSED: a holder or more does not show this model: {}. What helps: leave out what is "
    "named, merge levels, drop fewer rows, or ask without that holder (--party); or a policy with other "
    "numbers.",
    "dependent_columns": "NOT FITTED: what follows from other columns, or hardly varies within the schema's "
    "bounds: {}. Leave it out, or add a ridge penalty; where nobody has the level that a factor is compared "
    "with, name another: C(x, reference=…).",
    "too_few_rows": "NOT FITTED: there are no more complete rows than coefficients.",
}


class Fit(Shown[FitReport]):
    """A generalised linear model that was fitted to the rows of all holders together.

    `summary` (or print) shows it; `coefficients`, `errors`, `covariance`, `deviance` … are its numbers.
    """

    kind = FitReport
    title = "Generalised linear model, pooled over all holders"

    @property
    def converged(self) -> bool:
        """Whether the fit is one."""
        return self.report.status == "converged"

    @property
    def message(self) -> str:
        """What is wrong with the fit and what helps, in words; empty when nothing is."""
        said = _WORDS[self.status].format(in_words(self.reasons) or "a column")
        return " ".join(filter(None, (said, left_out(self.report.absent))))

    @property
    def coefficients(self) -> dict[str, float]:
        """In the schema's units, by name."""
        return dict(zip(self.report.names, self.report.coefficients, strict=False))

    @property
    def errors(self) -> dict[str, float]:
        """Standard errors of the coefficients, by name."""
        return dict(zip(self.report.names, self.report.errors, strict=True)) if self.report.has_fit else {}

    @property
    def covariance(self) -> Floats:
        """Of the coefficients, shape (coefficients, coefficients)."""
        many = len(self.report.coefficients)
        return np.array(self.report.covariance).reshape(many, many)

    @property
    def deviance(self) -> float:
        """Twice what the likelihood lacks of an exact fit's."""
        return self.report.deviance

    @property
    def null_deviance(self) -> float:
        """That of a constant alone, with the same offset."""
        return self.report.null_deviance

    @property
    def dispersion(self) -> float:
        """1, or Pearson's χ² by the degrees of freedom."""
        return self.report.dispersion

    @property
    def aic(self) -> float | None:
        """Akaike's criterion; None of a weighted gamma."""
        return self.report.aic

    @property
    def rows_used(self) -> int:
        """Complete rows, over all holders."""
        return self.report.rows_used

    @property
    def rows_dropped(self) -> int:
        """Rows that lacked something, or had a level that the model does not list."""
        return self.report.rows_dropped

    @property
    def rounds(self) -> int:
        """How many rounds it took."""
        return self.report.rounds

    def confidence(self, level: float = 0.95) -> dict[str, tuple[float, float]]:
        """The confidence interval of each coefficient, by name.

        Raises:
            InvalidInput: ``bad_level`` when the level is no number between 0 and 1.
        """
        if not 0 < level < 1:
            raise InvalidInput(
                "a confidence level lies between 0 and 1", code="bad_level", remedy="as in confidence(0.95)"
            )
        lines = lines_of(self.report, level) if self.report.has_fit else []
        return {name: (line[4], line[5]) for name, line in zip(self.report.names, lines, strict=False)}

    def predict(self, rows: Any, kind: Literal["mean", "link"] = "mean") -> Floats:
        """What the fit expects of rows of your own. Nothing leaves this machine.

        Args:
            rows: A pandas data frame, an Arrow table, or a mapping of names to lists, with the columns of the
                model's terms and of its offset.
            kind: ``mean``: the expected response; ``link``: the linear predictor.

        Returns:
            One number for each row, shape (rows,); NaN where a row lacks something, or has a level that
            nobody had whose rows were fitted.

        Raises:
            InvalidInput: ``no_fit``; ``missing_column``, ``bad_cell`` or ``bad_rows``.
        """
        if not self.report.has_fit:
            raise InvalidInput(f"there is no fit: {self.message}", code="no_fit", remedy="ask another model")
        if kind not in ("mean", "link"):
            raise InvalidInput(
                f"there is no prediction of kind {kind!r}", code="bad_kind", remedy="take mean or link"
            )
        dataset = Dataset.from_payload(self.report.schema.encode())
        model = Model.parse(self.report.text, dataset)
        own = OwnRows(rows, model.needed, dataset)
        used = [model.sources[place] for place in model.predictors]
        found, known = own.values(used)
        values: list[Any] = [None] * len(model.sources)
        for place, column in zip(model.predictors, found, strict=True):
            values[place] = column
        matrix = model.design.raw(values, own.count)
        at = [self.coefficients.get(column.name, 0.0) for column in model.design.columns]
        for place, one in enumerate(model.design.columns):
            if one.name in self.report.absent:
                known &= matrix[:, place] == 0
        eta = matrix @ np.array(at)
        if model.offset is not None:
            eta = eta + values[model.offset]
        predicted = eta if kind == "link" else model.link.inverse(eta)
        return np.where(known, predicted, np.nan)

    def summary(self) -> str:
        """The fit as text."""
        return "\n".join([*self._head(), "", *self._body(), *([self.message] if self.message else [])])

    __str__ = summary

    def __repr__(self) -> str:
        return f"<Fit {self.report.status}: {', '.join(self.report.names)}>"

    def to_pandas(self) -> pd.DataFrame:
        """One line for each coefficient, with its name as the index."""
        return super().to_pandas().set_index("term")

    def to_document(self) -> dict[str, Any]:
        """The fit as part of a JSON document."""
        found: dict[str, Any] = super().to_document()["report"]
        del found["schema"]
        return {"fit": found | {"errors": list(self.report.errors)}}

    @property
    def _lines(self) -> tuple[list[str], list[list[str]]]:
        titles = ["", *(title or report_statistic(self.report) for title in _TITLES)]
        lines = zip(self.report.names, lines_of(self.report), strict=True) if self.report.has_fit else ()
        return titles, [
            [name, *(_number(value, is_p=place == 3) for place, value in enumerate(line))]
            for name, line in lines
        ]

    @property
    def facts(self) -> list[tuple[str, str]]:
        """The single numbers, who took part at the end."""
        report = self.report
        who = ", ".join(sorted({str(party.organisation_name) for party in self.parties}))
        facts = [
            ("family", report.family.replace("_", " ")),
            ("link", report.link.replace("_", " ")),
            ("rows used", str(report.rows_used)),
            ("rows dropped", str(report.rows_dropped)),
            ("rounds", str(report.rounds)),
            ("status", report.status.replace("_", " ")),
        ]
        if report.has_fit:
            facts += [
                ("deviance", _number(report.deviance)),
                ("null deviance", _number(report.null_deviance)),
                ("degrees of freedom", str(report.degrees)),
                ("dispersion", _number(report.dispersion)),
                ("log-likelihood", "" if report.log_likelihood is None else _number(report.log_likelihood)),
                ("AIC", "" if report.aic is None else _number(report.aic)),
            ]
        if report.status == "suppressed":
            facts = [fact for fact in facts if not fact[0].startswith("rows")]
        return [*facts, ("parties", who)]

    def _head(self) -> list[str]:
        *facts, who = self.facts
        half = _WIDTH // 2
        lines = [self.title.center(_WIDTH).rstrip(), "=" * _WIDTH]
        left, right = facts[: (len(facts) + 1) // 2], facts[(len(facts) + 1) // 2 :]
        for place, (name, value) in enumerate(left):
            text = f"{name + ':':<18}{value:>18}".ljust(half)
            if place < len(right):
                name, value = right[place]
                text += f"  {name + ':':<20}{value:>18}"
            lines.append(text.rstrip())
        return [*lines, f"parties:          {who[1]}"]

    def _body(self) -> list[str]:
        titles, lines = self._lines
        if not lines:
            return []
        wide = max(12, *(len(name) for name in self.report.names)) + 1
        rule = "-" * max(_WIDTH, wide + _CELL * (len(titles) - 1))
        head, *body = [
            f"{name:<{wide}}" + "".join(f"{cell:>{_CELL}}" for cell in cells)
            for name, *cells in (titles, *lines)
        ]
        return [head, rule, *body, rule]


def _number(value: float, *, is_p: bool = False) -> str:
    return f"{value:.3g}" if is_p else f"{value:.6g}"
