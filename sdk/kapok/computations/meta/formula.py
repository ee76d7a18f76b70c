"""From a formula to the text of a meta-analysis. At the analyst only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kapok.computations.glm.formula import model_text

if TYPE_CHECKING:
    from kapok.documents.dataset import Dataset

__all__ = ["meta_text"]


def meta_text(formula: str, dataset: Dataset, **how: Any) -> str:
    """The canonical text of a meta-analysis of a model; see `kapok.computations.glm.formula.model_text`."""
    return f"META {model_text(formula, dataset, **how)}"
