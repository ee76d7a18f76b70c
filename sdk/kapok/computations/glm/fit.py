"""A fit as people read it: in text, in a notebook, as a data frame; and what it predicts."""

from __future__ import annotations

import html
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import msgspec
import numpy as np

from kapok.computations.design.own_rows import OwnRows
from kapok.computations.glm.params import Model
from kapok.computations.glm.report import METADATA, Report, lines_of, report_statistic
from kapok.documents.dataset import Dataset
from kapok.errors import InvalidInput

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

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
    "suppressed": "SUPPRESSED: at a holder or more the rows do not let this model be shown ({}). Leave out "
    "what is named, merge levels, or ask without such a holder.",
    "dependent_columns": "NOT FITTED: what follows from other columns, or hardly varies within the schema's "
    "bounds: {}. Leave it out, or add a ridge penalty. levels=[…] leaves out a level that nobody has.",
    "too_few_rows": "NOT FITTED: there are no more complete rows than coefficients.",
}
_RULES: Final = {
    "table": "a table that cannot be read",
    "few_rows": "too few complete rows",
    "parameters": "too many columns for the rows",
    "leverage": "a row that decides a combination of columns nearly alone",
    "dominance": "a row whose response or residual outweighs the others",
}


class _Result(Protocol):
    """What is known of a result, of whatever kind."""

    @property
    def dataset(self) -> str: ...
    @property
    def job_id(self) -> str: ...
    @property
    def parties(self) -> Sequence[Any]: ...
    def to_arrow(self) -> pa.Table: ...


class Fit:
    """A generalised linear model that was fitted to the rows of all holders together.

    `summary` (or print) shows it; `coefficients`, `errors`, `covariance`, `deviance` … are its numbers.
    """

    def __init__(self, result: _Result) -> None:
        self.result = result
        metadata = result.to_arrow().schema.metadata or {}
        self.report = msgspec.json.decode(metadata[METADATA], type=Report)

    @property
    def status(self) -> str:
        """``converged``, or what hindered it; see `Report`."""
        return self.report.status

    @property
    def converged(self) -> bool:
        """Whether the fit is one."""
        return self.report.status == "converged"

    @property
    def reasons(self) -> tuple[str, ...]:
        """The columns or rules that the status is about."""
        return self.report.reasons

    @property
    def message(self) -> str:
        """What is wrong with the fit and what helps, in words; empty when nothing is."""
        reasons = [_reason(one) for one in self.report.reasons]
        return _WORDS[self.report.status].format(", ".join(reasons) or "a column")

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

    @property
    def parties(self) -> Sequence[Any]:
        """Who took part, with the version of the data that each answered from."""
        return self.result.parties

    @property
    def job_id(self) -> str:
        """The job's identity, lower-case hex."""
        return self.result.job_id

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
            One number for each row, shape (rows,); NaN where a row lacks something.

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
        eta = model.design.raw(values, own.count) @ np.array(self.report.coefficients)
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

    def _repr_html_(self) -> str:
        """The fit for notebooks; everything in it is escaped."""
        facts = "".join(
            f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
            for name, value in self._facts
        )
        head = "".join(f"<th>{html.escape(title)}</th>" for title in ("", *self._titles))
        rows = "".join(
            f"<tr><th>{html.escape(name)}</th>" + "".join(f"<td>{cell}</td>" for cell in line) + "</tr>"
            for name, line in self._lines
        )
        note = f"<p><b>{html.escape(self.message)}</b></p>" if self.message else ""
        body = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>" if rows else ""
        return f"<p>{html.escape(self.report.text)}</p><table>{facts}</table>{body}{note}"

    def to_arrow(self) -> pa.Table:
        """One line for each coefficient; the metadata have the rest."""
        return self.result.to_arrow()

    def to_pandas(self) -> pd.DataFrame:
        """One line for each coefficient, with its name as the index.

        Raises:
            InvalidInput: ``no_pandas``.
        """
        try:
            import pandas  # noqa: F401
        except ModuleNotFoundError:
            raise InvalidInput(
                "pandas is not installed",
                code="no_pandas",
                remedy="pip install 'kapok[pandas]', or use to_arrow()",
            ) from None
        frame: pd.DataFrame = self.to_arrow().to_pandas()
        return frame.set_index("term")

    def to_document(self) -> dict[str, Any]:
        """The fit as part of a JSON document."""
        found = msgspec.to_builtins(self.report)
        del found["schema"]
        found["errors"] = list(self.report.errors) if self.report.has_fit else []
        return {"fit": found | {"message": self.message or None}}

    @cached_property
    def _titles(self) -> list[str]:
        return [title or report_statistic(self.report) for title in _TITLES]

    @property
    def _lines(self) -> list[tuple[str, list[str]]]:
        if not self.report.has_fit:
            return []
        lines = zip(self.report.names, lines_of(self.report), strict=True)
        return [
            (name, [_number(value, is_p=place == 3) for place, value in enumerate(line)])
            for name, line in lines
        ]

    @property
    def _facts(self) -> list[tuple[str, str]]:
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
        facts, half = self._facts[:-1], _WIDTH // 2
        lines = ["Generalised linear model, pooled over all holders".center(_WIDTH).rstrip(), "=" * _WIDTH]
        left, right = facts[: (len(facts) + 1) // 2], facts[(len(facts) + 1) // 2 :]
        for place, (name, value) in enumerate(left):
            text = f"{name + ':':<18}{value:>18}".ljust(half)
            if place < len(right):
                name, value = right[place]
                text += f"  {name + ':':<20}{value:>18}"
            lines.append(text.rstrip())
        return [*lines, f"parties:          {self._facts[-1][1]}"]

    def _body(self) -> list[str]:
        if not self.report.has_fit:
            return []
        wide = max(12, *(len(name) for name in self.report.names)) + 1
        rule = "-" * max(_WIDTH, wide + _CELL * len(self._titles))
        lines = [" " * wide + "".join(f"{title:>{_CELL}}" for title in self._titles), rule]
        for name, cells in self._lines:
            lines.append(f"{name:<{wide}}" + "".join(f"{cell:>{_CELL}}" for cell in cells))
        return [*lines, rule]


def _number(value: float, *, is_p: bool = False) -> str:
    return f"{value:.3g}" if is_p else f"{value:.6g}"


def _reason(reason: str) -> str:
    rule, _, column = reason.partition(": ")
    if column:
        return f"few rows beside the commonest value of {column}"
    return _RULES.get(rule, rule)
