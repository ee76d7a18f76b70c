"""The holder's half: its own fit, by the very steps that holders and analyst take together.

A holder that has no fit suppresses all. If it left itself out, the sums could be those of a single other one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from kapok.computations.design.flags import leaving
from kapok.computations.engines import Engine, Note, Thresholds, unheard
from kapok.computations.glm.analyst import advance
from kapok.computations.glm.coefficients import read
from kapok.computations.glm.holder import contribute as contribute_first
from kapok.computations.glm.holder import contribute_at
from kapok.computations.glm.report import FitReport
from kapok.computations.meta.params import RULES, Meta
from kapok.computations.registry import Next
from kapok.computations.reports import METADATA
from kapok.documents.dataset import Dataset
from kapok.protocols.words import WordVector

if TYPE_CHECKING:
    from kapok.computations.glm.params import Model

__all__ = ["contribute"]


def contribute(
    meta: Meta, dataset: Dataset, engine: Engine, thresholds: Thresholds, note: Note = unheard
) -> WordVector:
    """This holder's words.

    Args:
        meta: Parsed from the specification by the node itself, over this very dataset.
        dataset: Its schema.
        engine: Knows the holder's table as ``source``.
        thresholds: What the holder's policy asks, in each step of its own fit too.
        note: Hears what was suppressed and why, for the holder's own log.

    Returns:
        `meta.words` words of `meta.word_bits` bits, each at most V in magnitude, or uniform below 2^w.
    """
    broken: set[str] = set()
    words: list[int] = []
    try:
        report = _fitted(meta.model, dataset, engine, thresholds, note)
        if report.status == "suppressed":
            broken.update(report.reasons)
        elif report.status != "converged" or report.absent or min(report.errors) <= 0:
            broken.add("not_fitted")
            note("the model", f"not all of it is fitted: {report.status}")
        else:
            words = [1, report.rows_used, *_sums(meta, report)]
    except Exception as error:  # noqa: BLE001  whatever it is, it depends on data: nobody outside may notice
        # The class alone: a message can quote a value.
        note("the model", f"it could not be fitted ({type(error).__name__})")
        broken.add(RULES[0])
    # The fit's own steps have noted what they found.
    return leaving(meta, meta.flags, [flag in broken for flag in meta.flags], words, unheard)


def _fitted(model: Model, dataset: Dataset, engine: Engine, thresholds: Thresholds, note: Note) -> FitReport:
    """What an analyst would be told if this holder were the only one."""
    words, state = contribute_first(model, dataset, engine, thresholds, note), None
    while isinstance(outcome := advance(model, dataset, state, words.to_integers()), Next):
        state = outcome.state
        at = read(model, dataset, outcome.parameters)
        words = contribute_at(model, dataset, at, engine, thresholds, note)
    return msgspec.json.decode(outcome.table.schema.metadata[METADATA], type=FitReport)


def _sums(meta: Meta, report: FitReport) -> list[int]:
    """1/v, b/v, b²/v and 1/v² of each coefficient, in units of its column's half-width."""
    half = meta.model.design.half
    coefficients = np.array(report.coefficients) * half
    weights = 1 / (np.array(report.errors) * half) ** 2
    kinds = (weights, weights * coefficients, weights * coefficients**2, weights**2)
    found: list[int] = []
    for scale, values in zip(meta.scales, kinds, strict=True):
        found += scale.words(values.tolist())
    return found
