"""Imports typer before any test does: under click 8.5 its import warns of a name that it no longer needs."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import typer  # noqa: F401
