"""Work whose outcome hangs on what goes in alone, done once for all machines of all runs of a process.

Nothing of it hangs on a machine's state: whether a signature is right, and what a statement of SQL is once it
is compiled for SQLite. In a network each process does it for itself; here many are born and die.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any, Final
from unittest.mock import patch

import sqlalchemy as sa
from joserfc import jws

_MOST_TOKENS: Final = 10_000
_create_engine, _deserialize = sa.create_engine, jws.deserialize_compact


@functools.cache
def _first_engine() -> sa.Engine:
    """Its dialect, and what was compiled for it, serve all others of SQLite."""
    engine = _create_engine("sqlite://")
    engine.connect().close()  # the first connection tells the dialect what SQLite can do
    return engine


def _engine(url: Any, **more: Any) -> sa.Engine:
    engine, first = _create_engine(url, **more), _first_engine()
    engine.dialect = engine.pool._dialect = first.dialect
    engine._compiled_cache = first._compiled_cache
    return engine


_verified: dict[str, Any] = {}


def _deserialize_once(token: str, key: Any, *, registry: Any) -> Any:
    """A signature that is right stays so: it is by the key of the certificate that the token carries."""
    if token not in _verified:
        if len(_verified) >= _MOST_TOKENS:
            _verified.clear()
        _verified[token] = _deserialize(token, key, registry=registry)
    return _verified[token]


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Do such work once, for as long as the block lasts."""
    with (
        patch("sqlalchemy.create_engine", _engine),
        patch("joserfc.jws.deserialize_compact", _deserialize_once),
    ):
        yield
