"""The words of the language: which functions there are, and what else each may be called."""

from __future__ import annotations

from typing import Final

__all__ = ["AGGREGATES", "FUNCTIONS", "ORDERED", "PARTS", "SYNONYMS"]

AGGREGATES: Final = frozenset(
    {
        *("count", "sum", "avg", "count_if", "bool_and", "bool_or", "histogram", "grouping"),
        *("var_samp", "var_pop", "stddev_samp", "stddev_pop", "covar_samp", "covar_pop", "corr"),
        *("regr_slope", "regr_intercept", "regr_count", "regr_r2", "regr_avgx", "regr_avgy"),
        *("regr_sxx", "regr_syy", "regr_sxy"),
        *("median", "quantile_cont", "quantile_disc", "percentile_cont", "percentile_disc"),
    }
)
"""Functions of many rows. GROUPING stands among them, for it too is known only once groups are formed."""

FUNCTIONS: Final = frozenset(
    {
        *("coalesce", "nullif", "greatest", "least"),
        *("abs", "sign", "round", "floor", "ceil", "trunc", "mod"),
        *("sqrt", "ln", "log10", "log2", "exp", "power"),
        *("upper", "lower", "length", "substr", "left", "right", "trim", "ltrim", "rtrim", "replace"),
        *("concat", "starts_with", "ends_with", "contains"),
        *("year", "quarter", "month", "week", "day", "dayofweek", "isodow", "dayofyear"),
        *("hour", "minute", "second", "date_part", "date_trunc", "date_diff"),
    }
)
"""Functions of one row."""

ORDERED: Final = {"percentile_cont": "quantile_cont", "percentile_disc": "quantile_disc"}
"""Aggregates that are written with WITHIN GROUP (ORDER BY x), and what they are."""

SYNONYMS: Final = {
    "variance": "var_samp",
    "stddev": "stddev_samp",
    "mean": "avg",
    "countif": "count_if",
    "every": "bool_and",
    "ceiling": "ceil",
    "truncate": "trunc",
    "pow": "power",
    "log": "log10",
    "substring": "substr",
    "char_length": "length",
    "character_length": "length",
    "len": "length",
    "ucase": "upper",
    "lcase": "lower",
    "prefix": "starts_with",
    "suffix": "ends_with",
    "datepart": "date_part",
    "datediff": "date_diff",
    "datetrunc": "date_trunc",
    "weekofyear": "week",
    "dayofmonth": "day",
    "ifnull": "coalesce",
}

PARTS: Final = {
    "year": "year",
    "quarter": "quarter",
    "month": "month",
    "week": "week",
    "day": "day",
    "dow": "dayofweek",
    "dayofweek": "dayofweek",
    "isodow": "isodow",
    "doy": "dayofyear",
    "dayofyear": "dayofyear",
    "hour": "hour",
    "minute": "minute",
    "second": "second",
}
"""What EXTRACT and DATE_PART may take of a date, and the function that does."""
