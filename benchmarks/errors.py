"""What can go wrong with a benchmark."""

from __future__ import annotations

__all__ = ["BadArgument", "BenchmarkError", "WrongResult"]


class BenchmarkError(Exception):
    """The run cannot go on; the message is for the user."""


class BadArgument(BenchmarkError):
    """What was asked for makes no sense: exit status 2."""


class WrongResult(BenchmarkError):
    """A contender's result is not what exact integers say: no figure of it may be shown. Exit status 1."""
