"""What a holder's half does for every model: reads its rows, and lets leave what they add up to.

It never fails because of data: whatever goes wrong, and whatever is too few to show, leaves as random words.
Why is said in the holder's own log, and by one flag in the mask (`kapok.computations.design.guards`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kapok.computations.design.flags import leaving
from kapok.computations.design.model import ModelQuestion
from kapok.computations.design.rows import Blocks, engine_sql
from kapok.computations.engines import Engine, Note
from kapok.documents.dataset import Dataset
from kapok.protocols.words import WordVector

__all__ = ["Look", "contributed"]

Look = Callable[[Blocks], tuple[list[int], list[bool]]]
"""The holder's rows → the words after the flags, and for each flag whether its rule is broken."""


def contributed(model: ModelQuestion, dataset: Dataset, engine: Engine, look: Look, note: Note) -> WordVector:
    """This holder's words of one round.

    Args:
        model: Parsed from the specification by the node itself, over this very dataset.
        dataset: Its schema.
        engine: Knows the holder's table as ``source``.
        look: What is made of the rows.
        note: Hears what was suppressed and why, for the holder's own log.

    Returns:
        `model.words` words of `model.word_bits` bits, each at most V in magnitude, or uniform below 2^w.
    """
    flags = model.layout.flags
    try:
        select = engine_sql(model.sources, model.columns, dataset, engine.dialect)
        # What is no number shows in the sums, and suppresses them; a warning would say so on the way.
        with np.errstate(all="ignore"):
            words, broken = look(Blocks(engine, select, model.sources, model.where, model.unlisted))
    except Exception as error:  # noqa: BLE001  whatever it is, it depends on data: nobody outside may notice
        # The class alone: an engine's message can quote a value.
        note("the model", f"the engine could not answer ({type(error).__name__})")
        words, broken = [], [True] + [False] * (len(flags) - 1)
    return leaving(model, flags, broken, words, note)
