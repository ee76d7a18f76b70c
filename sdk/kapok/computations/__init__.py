"""Kinds of questions. Each is one folder with the same grammar, and nothing else knows how it works inside.

    params    what is agreed and public: the question, the layout of the vector of words
    holder    question, data → one vector of words
    analyst   question, sum of the vectors → answer

`computation` finds a kind by the name that a job specification carries.
"""

from kapok.computations.engines import Engine, Thresholds
from kapok.computations.registry import Asked, Computation, computation

__all__ = ["Asked", "Computation", "Engine", "Thresholds", "computation"]
