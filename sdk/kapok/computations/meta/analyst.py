"""The analyst's half: sums over holders' fits → means and heterogeneity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kapok.computations.chi2 import chi2_tail
from kapok.computations.design.flags import broken_rules, impossible
from kapok.computations.design.report import normal_p_value, normal_quantile
from kapok.computations.meta.params import SUMS, Meta
from kapok.computations.reports import Report, Reported, reported
from kapok.documents.dataset import Dataset
from kapok.protocols.secure_sum.params import MOST_MEMBERS

__all__ = ["MetaReport", "answer"]


class MetaReport(Report, frozen=True, kw_only=True):
    """What is said beside the coefficients.

    Attributes:
        status: ``complete``, or ``suppressed``.
        studies: How many holders' fits it is of.
        rows_used: Complete rows, over all holders.
    """

    studies: int = 0
    rows_used: int = 0


def answer(meta: Meta, _dataset: Dataset, words: Sequence[int]) -> Reported:
    """Read the sum of all holders' words.

    Raises:
        PeerProtocolError: ``impossible_sum`` when no holders within the schema can have sent such words.
    """
    many = len(meta.names)
    if broken := broken_rules(meta, meta.flags, words):
        return _reported(
            MetaReport(text=meta.text, status="suppressed", reasons=broken), (), np.zeros((10, 0))
        )
    studies, rows, *rest = words[len(meta.flags) :]
    if not 0 < studies <= MOST_MEMBERS or rows < 0:
        raise impossible("its counts are out of range")
    half = meta.model.design.half
    sums = np.array(
        [
            [scale.value(word) for word in rest[place * many : (place + 1) * many]]
            for place, scale in enumerate(meta.scales)
        ]
    )
    if len(sums) != SUMS or np.any(sums[[0, 3]] <= 0):
        raise impossible("a weight is not above zero")
    report = MetaReport(text=meta.text, status="complete", studies=studies, rows_used=rows)
    return _reported(report, meta.names, _combined(studies, sums, half))


def _combined(studies: int, sums: np.ndarray, half: np.ndarray) -> np.ndarray:
    """For each coefficient: mean, error, z, p, interval, Q, its p, I², τ²; in the schema's units."""
    weight, weighted, squares, weights_squared = sums
    mean = weighted / weight
    error = 1 / np.sqrt(weight)
    degrees = studies - 1
    spread = np.maximum(squares - weighted**2 / weight, 0.0)
    p_spread = np.array([chi2_tail(one, degrees) if degrees else 1.0 for one in spread.tolist()])
    share = np.maximum(0.0, 1 - degrees / np.where(spread > 0, spread, np.inf)) * (spread > 0)
    room = weight - weights_squared / weight
    between = np.where(room > 0, np.maximum(0.0, spread - degrees) / np.where(room > 0, room, 1.0), 0.0)
    statistic = mean / error
    p = np.array([normal_p_value(one) for one in statistic.tolist()])
    far = normal_quantile()
    mean, error, between = mean / half, error / half, between / half**2
    return np.array(
        [mean, error, statistic, p, mean - far * error, mean + far * error, spread, p_spread, share, between]
    )


def _reported(report: MetaReport, names: Sequence[str], found: np.ndarray) -> Reported:
    titles = ("estimate", "std_error", "z", "p_value", "ci_low", "ci_high", "q", "q_p_value", "i_squared")
    columns = {
        title: ("double", values)
        for title, values in zip((*titles, "tau_squared"), found.tolist(), strict=True)
    }
    return reported(report, {"term": ("string", list(names)), **columns})
