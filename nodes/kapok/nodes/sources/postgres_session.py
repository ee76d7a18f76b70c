"""One connection to a PostgreSQL server, that cannot hang and whose errors say nothing of cells or passwords.

The Arrow driver waits for the server inside of C. So each connection has a thread of its own; whoever waits
for it has a deadline, and leaves it behind when the server is silent beyond its own statement timeout.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit

from kapok.errors.secrecy import NeverPickled
from kapok.nodes.settings import PostgresSource
from kapok.nodes.sources.engine import Unreadable

__all__ = ["Session", "server_url"]

_Answer = TypeVar("_Answer")

_GRACE_S: Final = 5
_MOST_URL: Final = 10_000
_WATCH: Final = {
    "keepalives": "1",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
}
_SAID: Final = re.compile(r"ERROR:\s+([^\n]{1,300})")
_SEE_URL: Final = "see that the URL is right"
# By words of libpq's messages, the first that occurs: they can quote the URL.
_NOT_CONNECTED: Final = {
    "does not match host name": (
        "the server's certificate is not for the host in the URL",
        "name a host that it is for, or have the server certified for this one",
    ),
    "root certificate file": (
        "there is no file of authorities to know the server by",
        "sslrootcert= in the URL names a file in PEM that the node's user may read",
    ),
    "certificate verify failed": (
        "the server's certificate is not one of the authorities in sslrootcert, or has expired",
        "sslrootcert= in the URL names a file with the authority that certified the server; see its dates",
    ),
    "requires a valid client certificate": (
        "the server asks for a certificate of the client",
        "sslcert= and sslkey= in the URL name one that it knows, and its key",
    ),
    "private key file": (
        "the key of sslkey= in the URL cannot be used, or may be read by others",
        "chmod 600 it, and see that it is that of sslcert",
    ),
    "does not support SSL": (
        "the server offers no TLS",
        "switch it on at the server; or sslmode=disable where nobody is on the way",
    ),
    "password authentication failed": ("the server does not accept the user's password", _SEE_URL),
    "no password supplied": ("the server asks for a password, and the URL has none", _SEE_URL),
    "pg_hba.conf": ("the server does not admit this user from this machine", "see pg_hba.conf at the server"),
    "role ": ("the server does not know the user", _SEE_URL),
    "database ": ("the server does not have the database", _SEE_URL),
    "timeout expired": ("the server does not answer", _SEE_URL),
    "Connection refused": ("no server takes connections there", _SEE_URL),
    "No such file or directory": ("no server takes connections there", _SEE_URL),
    "could not translate host name": ("the name of the server is not known", _SEE_URL),
    "too many c": ("the server has no connection left", "raise its max_connections"),
    "starting up": ("the server is starting", "wait"),
    "shutting down": ("the server is stopping", "see who stops it"),
    "certificate": ("the server's certificate, or the node's own, cannot be used", _SEE_URL),
    "SSL": ("the server and this node do not agree on TLS", _SEE_URL),
}
_STATES: Final = {
    "57014": ("the server took too long", "give it more time: timeout_s under [engine] in node.toml"),
    "53100": ("the server has no room on its disk", "make room there"),
    "53200": ("the server is out of memory", "give it more, or ask for less at a time"),
    "53300": ("the server has no connection left", "raise its max_connections"),
    "42501": ("the user of the URL may not read it", "GRANT SELECT on it to that user, and nothing else"),
    "25006": ("the SQL would write, and nothing is written", "write a SELECT that only reads"),
    "40001": ("the server ended the query for the sake of its replication", "ask the primary server"),
}
_ENDED: Final = ("the connection to the server ended", "see that the server runs, and its log")


class Session(NeverPickled):
    """One connection in autocommit mode: `connect` it and `close` it; one thread at a time may use it."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._tasks: queue.SimpleQueue[tuple[Callable[[], Any], queue.SimpleQueue[Any]] | None] = (
            queue.SimpleQueue()
        )
        self._cursor: Any = None
        self.thread = threading.Thread(target=self._work, name="postgresql", daemon=True)
        self.thread.start()

    def connect(self, url: str, connect_timeout_s: float) -> None:
        """Open it.

        Raises:
            Unreadable: no driver, no server, or it does not let this user in.
        """
        self._call(lambda: self._connect(url), connect_timeout_s)

    def fetch(self, sql: str) -> Any:
        """Run one statement and return its rows as a `pyarrow.Table`.

        Raises:
            Unreadable: whatever went wrong, without a word of the server's own.
        """

        def task() -> Any:
            self._cursor.execute(sql)
            return self._cursor.fetch_arrow_table()

        return self._call(task, self._timeout_s)

    def stream(self, sql: str) -> Iterator[Any]:
        """Run one statement and give its rows as `pyarrow.RecordBatch`, one after the other.

        The deadline is of all of them together: how long whoever takes them computes in between counts too.

        Raises:
            Unreadable: as `fetch`, at any batch.
        """

        def begin() -> Any:
            self._cursor.execute(sql)
            return self._cursor.fetch_record_batch()

        def following() -> Any:
            try:
                return next(reader, None)
            except OSError:
                # Arrow's error of a stream: it has the server's words, which can quote a cell, and no code.
                raise Unreadable("the server could not compute or send all rows", "see its log") from None

        ends = time.monotonic() + self._timeout_s
        reader = self._call(begin, self._timeout_s)
        while (batch := self._call(following, max(0.0, ends - time.monotonic()))) is not None:
            yield batch

    def describe(self, sql: str) -> Any:
        """The `pyarrow.Schema` of a SELECT, which is planned and not run. Raises what `fetch` raises."""
        return self._call(lambda: self._cursor.adbc_execute_schema(sql), self._timeout_s)

    def close(self) -> None:
        """End it. A thread that still waits for the server closes the connection when it comes back."""
        self._tasks.put((self._disconnect, queue.SimpleQueue()))
        self._tasks.put(None)
        self.thread.join(_GRACE_S)

    def _call(self, task: Callable[[], _Answer], timeout_s: float) -> _Answer:
        answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._tasks.put((task, answers))
        try:
            answer, error = answers.get(timeout=timeout_s + _GRACE_S)
        except queue.Empty:
            raise Unreadable("the server does not answer", _ENDED[1]) from None
        if error is not None:
            raise _plain(error) from None
        found: _Answer = answer
        return found

    def _work(self) -> None:
        while (one := self._tasks.get()) is not None:
            task, answers = one
            try:
                answers.put((task(), None))
            except Exception as error:  # noqa: BLE001 - handed to whoever waits, and told there in plain words
                answers.put((None, error))

    def _connect(self, url: str) -> None:
        try:
            from adbc_driver_postgresql import dbapi
        except ImportError:
            raise Unreadable(
                "the driver for PostgreSQL is not installed", "pip install 'kapok[postgresql]'"
            ) from None
        try:
            self._connection = dbapi.connect(url, autocommit=True)
        except dbapi.Error as error:
            # The driver's words can quote the URL.
            said = str(error)
            found = (words for mark, words in _NOT_CONNECTED.items() if mark in said)
            raise Unreadable(*next(found, ("the server cannot be reached", _SEE_URL))) from None
        self._cursor = self._connection.cursor()

    def _disconnect(self) -> None:
        if self._cursor is not None:
            with contextlib.suppress(Exception):
                self._cursor.close()
            with contextlib.suppress(Exception):
                self._connection.close()

    def __repr__(self) -> str:
        return "Session(<hidden>)"


def _plain(error: Exception) -> Unreadable:
    """What may be said of an error: by its SQLSTATE, for the words can quote a cell."""
    if isinstance(error, Unreadable):
        return error
    state = getattr(error, "sqlstate", None)
    if not state or (state[:2] in ("08", "57") and state != "57014"):
        return Unreadable(*_ENDED)
    if state in _STATES:
        return Unreadable(*_STATES[state])
    if state[:2] == "22":
        return Unreadable(f"a cell cannot be computed in the holder's SQL [{state}]")
    if state[:2] == "42" and (said := _SAID.search(str(error))):
        # Found when the statement was planned: the words are about SQL and names, and no cell was read.
        return Unreadable(f"the server cannot read it so: {said[1].strip()} [{state}]", reason=f"[{state}]")
    return Unreadable(f"the server reports an error [{state}]", "see its log")


def server_url(source: PostgresSource, timeout_s: float) -> str:
    """The URL, with what keeps a dead connection from being waited for.

    Raises:
        Unreadable: it is not there, not kept from others, or not a URL; without a word of it.
    """
    url, where = _secret(source)
    try:
        parts = urlsplit(url)
        given = dict(parse_qsl(parts.query))
        host = given.get("hostaddr") or given.get("host") or parts.hostname or ""
    except ValueError:
        parts, given, host = urlsplit(""), {}, ""
    if parts.scheme not in ("postgresql", "postgres"):
        raise Unreadable(
            f"{where} does not hold a URL of PostgreSQL",
            "write postgresql://USER:PASSWORD@HOST:PORT/DATABASE, special characters as %XX",
        )
    if "sslmode" not in given and not _is_here(host):
        raise Unreadable(
            f"the URL in {where} does not say how the connection is secured",
            "add ?sslmode=verify-full&sslrootcert=FILE; or ?sslmode=disable where nobody is on the way",
        )
    wanted = _WATCH | {
        "connect_timeout": str(source.connect_timeout_s),
        "tcp_user_timeout": str(int(timeout_s * 1000)),
        "application_name": "kapok",
    }
    added = urlencode({name: value for name, value in wanted.items() if name not in given})
    return f"{url}{'&' if parts.query else '?'}{added}"


def _secret(source: PostgresSource) -> tuple[str, str]:
    if source.url_file is None:
        where = f"the environment variable {source.url_env}"
        if not (url := os.environ.get(source.url_env, "").strip()):
            raise Unreadable(f"{where} is not set", "set it to the URL of the database for the node")
        return url[:_MOST_URL], where
    where = f"the file {source.url_file}"
    try:
        with source.url_file.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise Unreadable(
                    f"{where} may be read by others than its owner", f"chmod 600 {source.url_file}"
                )
            return file.read(_MOST_URL).decode("utf-8").strip(), where
    except (OSError, UnicodeDecodeError):
        what = f"{where} cannot be read"
        raise Unreadable(what, "write the URL of the database into it", reason="no URL") from None


def _is_here(host: str) -> bool:
    """Whether no network is between: a socket's folder, or a loopback address."""
    if host in ("", "localhost") or host.startswith(("/", "%2f", "%2F", "@")):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
