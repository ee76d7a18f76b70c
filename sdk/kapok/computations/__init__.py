"""Kinds of questions. Each is one folder with the same grammar, and nothing else knows how it works inside.

    params    what is agreed and public: the question, the layout of the vector of words
    holder    question, data → one vector of words
    analyst   question, sum of the vectors → answer
    entry     the kind's `Computation`, as the registry finds it

and, where a kind has them: `formula` (R's notation → text, at the analyst alone), `coefficients` (the
parameters of a later round), `report` (what is said beside an answer), `view` (how people read it).

    query                     SELECT, and quantiles by search
    glm, cox                  models whose rounds sum what holders have at the analyst's coefficients
    meta                      holders' own fits, combined
    survival, comparison, matrices    what one SELECT answers, by way of `derived`
    federated                 Flower apps: the weighted mean of their replies
    language, rows            text ↔ tree; expressions of one row, typed, as an engine's SQL
    design, reports, chi2     what models have in common: their matrix; their reports; a tail probability
    engines, encoding, widths what a holder's half gets from its node; values as numbers; bits of a word

`registry` finds a kind by the name that a job specification carries.
"""

from kapok.computations.engines import Engine, Thresholds
from kapok.computations.registry import Asked, Computation, computation

__all__ = ["Asked", "Computation", "Engine", "Thresholds", "computation"]
