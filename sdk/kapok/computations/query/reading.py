"""From a text to a question that may be asked: parsed, then looked at for what its conditions select."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kapok.computations.query.disclosure.selection import check_selection
from kapok.computations.query.parse import parse

if TYPE_CHECKING:
    from kapok.computations.query.params import Question
    from kapok.documents.dataset import Dataset

__all__ = ["read_question"]


def read_question(sql: str, dataset: Dataset) -> Question:
    """Read a SELECT over the dataset.

    Raises:
        InvalidInput: ``bad_sql``, ``unsupported_sql``, ``unknown_function``, ``unknown_dataset``,
            ``unknown_column``, ``no_domain``, ``outside_domain``, ``type_mismatch``,
            ``number_too_large``, ``not_grouped``, ``name_twice``, ``question_too_long``,
            ``too_many_conditions`` or ``too_many_cells``, each with what to write instead.
    """
    question = parse(sql, dataset)
    check_selection(question, dataset)
    return question
