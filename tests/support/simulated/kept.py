"""Work whose outcome hangs on what goes in alone, done once for all machines of all runs of a process.

Nothing of it hangs on a machine's state: whether a certificate is the root's and a signature right, what a
file of a key says, what a question is once it is read and written for an engine, and what a statement of SQL
is once it is compiled for SQLite. In a network each process does it for itself; here many are born and die.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any, Final
from unittest.mock import patch

import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from joserfc import jws

from kapok.computations.query import build, parse
from kapok.documents.dataset import Dataset
from kapok.identity.certificates import TrustRoot

_MOST: Final = 10_000
_create_engine, _deserialize, _check = sa.create_engine, jws.deserialize_compact, TrustRoot.check


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
        if len(_verified) >= _MOST:
            _verified.clear()
        _verified[token] = _deserialize(token, key, registry=registry)
    return _verified[token]


_checked: dict[tuple[x509.Certificate, x509.Certificate], Any] = {}


def _check_once(root: TrustRoot, certificate: x509.Certificate, now: float) -> Any:
    """A certificate that was right once is so as long as its dates are."""
    place = (root.certificate, certificate)
    if place in _checked:
        root.check_dates(certificate, now)
    else:
        _checked[place] = _check(root, certificate, now)
    return _checked[place]


@functools.lru_cache(_MOST)
def _read_once(sql: str, dataset: Dataset) -> Any:
    return parse.parse(sql, dataset)


_written: dict[tuple[Any, ...], str] = {}


def _written_once(question: Any, dataset: Dataset, *how: Any) -> str:
    place = (question.sql, dataset, *how)
    if place not in _written:
        _written[place] = build.engine_sql(question, dataset, *how)
    return _written[place]


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Do such work once, for as long as the block lasts."""
    with contextlib.ExitStack() as stack:
        for what, instead in _INSTEAD.items():
            stack.enter_context(patch(what, instead))
        yield


_INSTEAD: Final = {
    "sqlalchemy.create_engine": _engine,
    "joserfc.jws.deserialize_compact": _deserialize_once,
    "kapok.identity.certificates.TrustRoot.check": _check_once,
    "kapok.identity.certificates.TrustRoot.from_pem": functools.lru_cache(_MOST)(TrustRoot.from_pem),
    "cryptography.x509.load_der_x509_certificate": functools.lru_cache(_MOST)(x509.load_der_x509_certificate),
    "cryptography.x509.load_pem_x509_certificate": functools.lru_cache(_MOST)(x509.load_pem_x509_certificate),
    "cryptography.x509.load_pem_x509_certificates": functools.lru_cache(_MOST)(
        x509.load_pem_x509_certificates
    ),
    "cryptography.hazmat.primitives.serialization.load_pem_private_key": functools.lru_cache(_MOST)(
        serialization.load_pem_private_key
    ),
    "kapok.computations.query.reading.parse": _read_once,
    "kapok.computations.query.holder.engine_sql": _written_once,
}
