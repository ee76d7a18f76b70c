"""Distributions and links: what one row adds to a fit, as NumPy arrays over rows.

With mean μ, linear predictor η = g(μ), variance function V and prior weight w, a row has

    weight  ω = w / (V(μ) g'(μ)²)        score  r = w (y - μ) / (V(μ) g'(μ))

Source: McCullagh and Nelder (1989), Generalized Linear Models, tables 2.1 and 2.3.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from kapok.computations.design.columns import Bounds

    Floats: TypeAlias = npt.NDArray[np.float64]

__all__ = ["FAMILIES", "LINKS", "Family", "Link"]

_LEAST: Final = 2.0**-52
_STEEPEST: Final = 60.0
_NORMAL: Final = NormalDist()


@dataclass(frozen=True, slots=True)
class Link:
    """η = g(μ).

    Attributes:
        name: As a model names it.
        of: g.
        inverse: g⁻¹, for every η for which `fits` holds; some number else.
        slope: dμ/dη as a function of η.
        fits: Whether a mean belongs to η.
    """

    name: str
    of: Callable[[Floats], Floats]
    inverse: Callable[[Floats], Floats]
    slope: Callable[[Floats], Floats]
    fits: Callable[[Floats], npt.NDArray[np.bool_]]


def _anywhere(eta: Floats) -> npt.NDArray[np.bool_]:
    return np.isfinite(eta)


def _above_zero(eta: Floats) -> npt.NDArray[np.bool_]:
    return np.isfinite(eta) & (eta > 0)


def _not_steep(eta: Floats) -> npt.NDArray[np.bool_]:
    return np.isfinite(eta) & (eta <= _STEEPEST)


def _exp(eta: Floats) -> Floats:
    return np.exp(np.clip(eta, -_STEEPEST, _STEEPEST))


def _logistic(eta: Floats) -> Floats:
    return 1.0 / (1.0 + _exp(-eta))


def _each(function: Callable[[float], float], values: Floats) -> Floats:
    """A function of the standard library, once for each value that occurs."""
    known, places = np.unique(values, return_inverse=True)
    return np.array([function(value) for value in known.tolist()])[places]


def _phi(eta: Floats) -> Floats:
    return np.array([math.erfc(value) for value in (eta / -math.sqrt(2)).tolist()]) / 2


def _positive(eta: Floats) -> Floats:
    return np.where(eta > 0, eta, 1.0)


LINKS: Final = {
    link.name: link
    for link in (
        Link("identity", lambda mu: mu, lambda eta: eta, np.ones_like, _anywhere),
        Link("log", np.log, _exp, _exp, _not_steep),
        Link(
            "logit",
            lambda mu: np.log(mu) - np.log1p(-mu),
            _logistic,
            lambda eta: _logistic(eta) * _logistic(-eta),
            _anywhere,
        ),
        Link(
            "probit",
            lambda mu: _each(_NORMAL.inv_cdf, mu),
            _phi,
            lambda eta: np.exp(-eta * eta / 2) / math.sqrt(2 * math.pi),
            _anywhere,
        ),
        Link(
            "cloglog",
            lambda mu: np.log(-np.log1p(-mu)),
            lambda eta: -np.expm1(-_exp(eta)),
            lambda eta: np.exp(np.clip(eta, -_STEEPEST, _STEEPEST) - _exp(eta)),
            _anywhere,
        ),
        Link(
            "inverse",
            lambda mu: 1.0 / mu,
            lambda eta: 1.0 / _positive(eta),
            lambda eta: -1.0 / _positive(eta) ** 2,
            _above_zero,
        ),
        Link(
            "inverse_squared",
            lambda mu: 1.0 / mu**2,
            lambda eta: 1.0 / np.sqrt(_positive(eta)),
            lambda eta: -0.5 * _positive(eta) ** -1.5,
            _above_zero,
        ),
        Link("sqrt", np.sqrt, lambda eta: eta * eta, lambda eta: 2.0 * eta, _above_zero),
    )
}
"""The links by name."""


def _ratio_log(upper: Floats, lower: Floats) -> Floats:
    """X log(x / μ), 0 where x is 0."""
    found: Floats = upper * np.log(upper / lower + (upper == 0))
    return found


def _log_gamma(values: Floats) -> Floats:
    return _each(math.lgamma, values)


@dataclass(frozen=True, slots=True)
class Family:
    """A distribution of the response.

    Attributes:
        name: As a model names it.
        links: Names of the links that go with it, the canonical or usual one first.
        canonical: The link for which g' V = 1; empty where none of its links is that.
        low, strict: Least response, and whether it must be above that.
        high: Largest response.
        least, most: Between which means are kept, for the sake of logarithms.
        variance: V(μ), given the dispersion of a negative binomial.
        deviance: Of a row with weight 1: twice what its likelihood lacks.
        saturated: Logarithm of the likelihood of a row that is fitted exactly, as far as no dispersion is in
            it.
        start: A mean from which fitting begins, from response and weight.
        estimated: Whether its dispersion is estimated; else it is 1.
    """

    name: str
    links: tuple[str, ...]
    canonical: str
    low: float
    strict: bool
    high: float
    least: float
    most: float
    variance: Callable[[Floats, float], Floats]
    deviance: Callable[[Floats, Floats, float], Floats]
    saturated: Callable[[Floats, float], Floats]
    start: Callable[[Floats, Floats], Floats]
    estimated: bool

    def admits(self, bounds: Bounds) -> bool:
        """Whether every response within the bounds can be of this family."""
        return (bounds.low > self.low if self.strict else bounds.low >= self.low) and bounds.high <= self.high

    def kept(self, mean: Floats) -> Floats:
        """The mean, not beyond what logarithms take."""
        return np.clip(mean, self.least, self.most)


def _binomial_deviance(y: Floats, mu: Floats, _: float) -> Floats:
    return 2 * (_ratio_log(y, mu) + _ratio_log(1 - y, 1 - mu))


def _poisson_saturated(y: Floats, _: float) -> Floats:
    return _ratio_log(y, np.ones_like(y)) - y - _log_gamma(y + 1)


def _negative_binomial_deviance(y: Floats, mu: Floats, alpha: float) -> Floats:
    return 2 * (_ratio_log(y, mu) - (y + 1 / alpha) * np.log((1 + alpha * y) / (1 + alpha * mu)))


def _negative_binomial_saturated(y: Floats, alpha: float) -> Floats:
    kernel = _ratio_log(y, np.ones_like(y)) - (y + 1 / alpha) * np.log1p(alpha * y) + y * math.log(alpha)
    return kernel + _log_gamma(y + 1 / alpha) - _log_gamma(y + 1) - math.lgamma(1 / alpha)


FAMILIES: Final = {
    family.name: family
    for family in (
        Family(
            "gaussian",
            ("identity", "log", "inverse"),
            "identity",
            *(-math.inf, False, math.inf, -math.inf, math.inf),
            lambda mu, _: np.ones_like(mu),
            lambda y, mu, _: (y - mu) ** 2,
            lambda y, _: np.zeros_like(y),
            lambda y, _: y,
            estimated=True,
        ),
        Family(
            "binomial",
            ("logit", "probit", "cloglog", "log"),
            "logit",
            *(0.0, False, 1.0, _LEAST, 1 - _LEAST),
            lambda mu, _: mu * (1 - mu),
            _binomial_deviance,
            lambda y, _: _ratio_log(y, np.ones_like(y)) + _ratio_log(1 - y, np.ones_like(y)),
            lambda y, w: (w * y + 0.5) / (w + 1),
            estimated=False,
        ),
        Family(
            "poisson",
            ("log", "identity", "sqrt"),
            "log",
            *(0.0, False, math.inf, _LEAST, math.inf),
            lambda mu, _: mu,
            lambda y, mu, _: 2 * (_ratio_log(y, mu) - (y - mu)),
            _poisson_saturated,
            lambda y, _: y + 0.1,
            estimated=False,
        ),
        Family(
            "gamma",
            ("inverse", "log", "identity", "inverse_squared"),
            "",
            *(0.0, True, math.inf, _LEAST, math.inf),
            lambda mu, _: mu * mu,
            lambda y, mu, _: 2 * ((y - mu) / mu - np.log(y / mu)),
            lambda y, _: -np.log(y),
            lambda y, _: y,
            estimated=True,
        ),
        Family(
            "negative_binomial",
            ("log", "identity", "sqrt"),
            "",
            *(0.0, False, math.inf, _LEAST, math.inf),
            lambda mu, alpha: mu + alpha * mu * mu,
            _negative_binomial_deviance,
            _negative_binomial_saturated,
            lambda y, _: y + 0.1,
            estimated=False,
        ),
    )
}
"""The families by name. `saturated` of a binomial proportion leaves the binomial coefficient out."""
