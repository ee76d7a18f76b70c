"""The analyst's half: sums of squares and products → a matrix, or its principal components."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Final

import numpy as np

from kapok.computations.language.writing import write
from kapok.computations.matrices.params import Matrix, asked_of
from kapok.computations.query.analyst import Answer
from kapok.computations.reports import Report, Reported, reported

if TYPE_CHECKING:
    from kapok.computations.design.columns import Floats

__all__ = ["MatrixReport", "answer"]

_LEAST: Final = 2


class MatrixReport(Report, frozen=True, kw_only=True):
    """What is said beside the matrix.

    Attributes:
        status: ``complete``; ``suppressed``; ``too_few_rows``; ``constant``: a column does not vary, and has
            no correlation.
        form: ``correlation``, ``covariance``, ``components`` or ``scaled_components``.
        names: Of the columns.
        rows: That lack none of them.
        means: Of the columns.
        matrix: Covariances or correlations, line after line: for components that which they are of.
        variances: Of the components, the largest first; empty without.
    """

    form: str
    names: tuple[str, ...]
    rows: int = 0
    means: tuple[float, ...] = ()
    matrix: tuple[float, ...] = ()
    variances: tuple[float, ...] = ()


def answer(asked: Matrix, found: Answer) -> Reported:
    """Make a matrix of the answer to the SELECT."""
    names, form = tuple(map(write, asked.statement.columns)), asked.statement.form
    if found.suppressed:
        hidden = {name for _, name in found.suppressed}
        asked_pairs = zip(found.columns, asked_of(names), strict=True)
        reasons = dict.fromkeys(" and ".join(pair) for one, (pair, _) in asked_pairs if one.name in hidden)
        return _without(asked, names, "suppressed", tuple(reasons))
    rows, means, products = _read(len(names), found)
    if rows < _LEAST:
        return _without(asked, names, "too_few_rows", (), rows)
    matrix = products / (rows - 1)
    if form in ("correlation", "scaled_components"):
        spreads = np.diag(matrix)
        if constant := tuple(name for name, spread in zip(names, spreads, strict=True) if spread <= 0):
            return _without(asked, names, "constant", constant, rows)
        matrix = matrix / np.sqrt(np.outer(spreads, spreads))
        np.fill_diagonal(matrix, 1.0)
    variances, shown = (np.zeros(0), matrix) if not form.endswith("components") else _components(matrix)
    report = MatrixReport(
        text=asked.text,
        status="complete",
        form=form,
        names=names,
        rows=rows,
        means=tuple(means.tolist()),
        matrix=tuple(matrix.ravel().tolist()),
        variances=tuple(variances.tolist()),
    )
    return reported(report, _columns(names, shown, variances))


def _without(
    asked: Matrix, names: tuple[str, ...], status: str, reasons: tuple[str, ...], rows: int = 0
) -> Reported:
    report = MatrixReport(
        text=asked.text, status=status, reasons=reasons, form=asked.statement.form, names=names, rows=rows
    )
    return reported(report, _columns(names, np.zeros((0, len(names)))))


def _read(many: int, found: Answer) -> tuple[int, Floats, Floats]:
    """Rows, means, and sums of squares and products of distances from them."""
    cells = iter(0.0 if cell is None else float(str(cell)) for cell in found.rows[0])
    rows, means, products = 0, np.zeros(many), np.zeros((many, many))
    for first, second in combinations(range(many), 2):
        if first == 0:
            rows = int(next(cells))
            means[0], means[second] = next(cells), next(cells)
            products[0, 0], products[second, second] = next(cells), next(cells)
        products[first, second] = products[second, first] = next(cells)
    return rows, means, products


def _components(matrix: Floats) -> tuple[Floats, Floats]:
    """Variances, the largest first, and for each component its loadings; the largest of them is positive."""
    values, vectors = np.linalg.eigh(matrix)
    loadings = vectors.T[::-1]
    largest = np.abs(loadings).argmax(axis=1)
    signs = np.sign(loadings[np.arange(len(loadings)), largest])
    return np.maximum(values[::-1], 0.0), loadings * signs[:, None]


def _columns(
    names: tuple[str, ...], matrix: Floats, variances: Floats | None = None
) -> dict[str, tuple[str, list[str] | list[int] | list[float]]]:
    """One line for each column, or for each component."""
    if variances is None or not len(variances):
        lines = {"column": ("string", list(names[: len(matrix)]))}
    else:
        total = float(variances.sum())
        lines = {
            "component": ("string", [f"PC{place + 1}" for place in range(len(variances))]),
            "variance": ("double", variances.tolist()),
            "proportion": ("double", (variances / total if total else variances).tolist()),
        }
    return lines | {name: ("double", matrix[:, place].tolist()) for place, name in enumerate(names)}
