"""Why holders do not show a model, in words: the rule, and the key of their policies that has its number."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

__all__ = ["in_words"]

_RULES: Final = {
    "table": "a table that cannot be read",
    "not_fitted": "no fit of its own",
    "few_rows": "too few complete rows (`min_rows`, and twice `min_cell`)",
    "parameters": "too many columns for the rows (`parameters_percent`)",
    "leverage": "a row that decides a combination of columns nearly alone (`leverage_percent`)",
    "dominance": "a row whose response or residual outweighs the others (`leverage_percent`)",
    "outside": "a row to whose coefficients no mean, or too large a weight, belongs",
    "nearly_constant": "fewer than `min_cell` rows beside the commonest value of {}",
    "few_events": "fewer than `min_cell` rows with the event beside the commonest value of {}",
    "interval": "few rows of either kind, or one that outweighs them, among those that leave up to {} "
    "(`min_cell`, `parameters_percent`, `leverage_percent`)",
}


def in_words(reasons: Iterable[str]) -> str:
    """What flags say, as ``nearly_constant: age``; those of one rule together, what is no flag as it is."""
    rules: dict[str, list[str]] = {}
    for reason in reasons:
        rule, _, what = reason.partition(": ")
        known = rule in _RULES and (bool(what) == ("{}" in _RULES[rule]))
        rules.setdefault(rule if known else reason, []).extend([what] if known and what else [])
    return "; ".join(_RULES.get(rule, rule).format(", ".join(what)) for rule, what in rules.items())
