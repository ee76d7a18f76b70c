"""PostgreSQL as a daemon's database: how it is dialled, how its transactions begin, what its errors mean.

The driver is pg8000, pure Python under a BSD licence. Without TLS it talks to this machine alone; to any
other, and where the URL says anything of TLS, only to a server whose certificate holds for its name, under
the system's authorities or those of the URL's ``sslrootcert``.

Source: PostgreSQL 15 manual, sections 13.3.5 (advisory locks), 20.11 (timeouts) and appendix A (error codes).
"""

from __future__ import annotations

import contextlib
import ipaddress
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import sqlalchemy
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.pg8000 import PGDialect_pg8000
from sqlalchemy.engine import URL, Connection, Engine

from kapok.errors import InvalidInput

__all__ = ["engine", "is_unavailable", "refused", "state"]

_DRIVER: Final = "postgresql+kapok"
_SCHEMES: Final = frozenset({"postgresql", "postgres", "postgresql+pg8000"})
_KEYS: Final = frozenset({"sslrootcert", "sslcert", "sslkey"})
# OpenSSL, include/openssl/x509_vfy.h
_EXPIRED: Final = 10
_HOST_DIFFERS: Final = frozenset({62, 64})
_NO_TLS: Final = "refuses SSL"  # pg8000
# Longer than the server lets a statement take: what it says of that is to arrive.
_SOCKET_S: Final = 30
# What brings tables up to date may read a large one through, while nobody else can write.
_UPGRADE_S: Final = 3600
_RECYCLE_S: Final = 1800
# One number for all of Kapok's writers of one database: what it is matters to nobody else.
_WRITER: Final = 0x4B41504F4B
# A broker that stands still in a transaction loses it, and with it the writers' lock, so that another may go
# on.
_SESSION: Final = (
    "SET lock_timeout = '15s'",
    "SET statement_timeout = '25s'",
    "SET idle_in_transaction_session_timeout = '15s'",
    "SET synchronous_commit = 'on'",
)
READ: Final = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
WRITE: Final = f"SELECT pg_advisory_xact_lock({_WRITER})"
# Classes of SQLSTATE: connection, resources, operator intervention, system; rollbacks; and a lock that is not
# had.
_PASSING: Final = ("08", "53", "57", "58", "40", "55P03", "25P03")
_REFUSALS: Final = {
    "28": ("does not let this user in", "see the user's name, its password, and pg_hba.conf at the server"),
    "3D": ("has no database of that name", "create it: CREATE DATABASE kapok OWNER kapok"),
    "42501": ("does not let this user do what is needed", "make it the owner of a database of its own"),
}


class Dialect(PGDialect_pg8000):
    """SQLAlchemy's for pg8000, in which errors of the socket itself are the driver's own.

    pg8000 lets them through while it waits for an answer: a connection that is reset then, or a server that
    is silent for too long, would be taken for a defect.
    """

    supports_statement_cache = True

    def connect(self, *cargs: Any, **cparams: Any) -> Any:
        """Dial, and prepare the session."""
        with self._as_the_drivers():
            made = super().connect(*cargs, **cparams)
            try:
                _prepare(made)
            except BaseException:
                with contextlib.suppress(Exception):
                    made.close()
                raise
            return made

    def do_ping(self, dbapi_connection: Any) -> bool:
        """Ask whether the server is there."""
        with self._as_the_drivers():
            return bool(super().do_ping(dbapi_connection))

    def do_execute(self, cursor: Any, statement: str, parameters: Any, _context: Any = None) -> None:
        """Run a statement."""
        with self._as_the_drivers():
            cursor.execute(statement, parameters)

    def do_executemany(self, cursor: Any, statement: str, parameters: Any, _context: Any = None) -> None:
        """Run a statement with many parameters."""
        with self._as_the_drivers():
            cursor.executemany(statement, parameters)

    def do_commit(self, dbapi_connection: Any) -> None:
        """Write down."""
        with self._as_the_drivers():
            dbapi_connection.commit()

    def do_rollback(self, dbapi_connection: Any) -> None:
        """Take back."""
        with self._as_the_drivers():
            dbapi_connection.rollback()

    @contextlib.contextmanager
    def _as_the_drivers(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            # By these words SQLAlchemy knows that the connection is of no use any more.
            raise self.loaded_dbapi.InterfaceError("network error") from error


registry.register(_DRIVER.replace("+", "."), __name__, Dialect.__name__)


def engine(text: str, password: str | None, *, upgrades: bool = False) -> tuple[Engine, str]:
    """An engine for a URL, and the URL as it may be shown.

    Args:
        text: ``postgresql://user@host:port/database``, with ``?sslrootcert=FILE`` for authorities of one's
            own; ``sslcert`` and ``sslkey`` for a certificate that the server asks for.
        password: The user's.
        upgrades: Whether it is to bring tables up to date: its statements may take an hour.

    Raises:
        InvalidInput: ``bad_database_url`` when it is another kind of URL, holds a password or has no user, or
            when the driver is not installed.
    """
    url = _read(text)
    shown = url.render_as_string(hide_password=True)
    arguments: dict[str, Any] = {
        "application_name": "kapok",
        "password": password or "",
        "ssl_context": False if _is_here(url.host or "") and not url.query else _tls(url),
        "timeout": _SOCKET_S + (_UPGRADE_S if upgrades else 0),
    }
    dialled = url.set(drivername=_DRIVER, query={})
    try:
        made = sqlalchemy.create_engine(
            dialled,
            # Parameters of statements stay out of exceptions and logs: they are other people's business.
            hide_parameters=True,
            pool_pre_ping=True,
            pool_recycle=_RECYCLE_S,
            connect_args=arguments,
        )
    except ImportError:
        raise _bad(
            "the driver for PostgreSQL is not installed", "install it: pip install 'kapok[broker]'"
        ) from None
    sqlalchemy.event.listen(made, "begin", _begin)
    if upgrades:
        sqlalchemy.event.listen(made, "begin", _take_time)
    return made, shown


def is_unavailable(error: sqlalchemy.exc.SQLAlchemyError) -> bool:
    """Whether the server cannot be reached or used just now, and trying again may help."""
    return state(error).startswith(_PASSING) or isinstance(error, sqlalchemy.exc.InterfaceError)


def refused(error: sqlalchemy.exc.SQLAlchemyError, shown: str) -> InvalidInput | None:
    """That the server does not let this user in, or do what is needed; None for any other error."""
    tls = _tls_fault(error)
    if tls is not None:
        return InvalidInput(f"the server of {shown} {tls[0]}", code="database_refused", remedy=tls[1])
    told = state(error)
    if told.startswith("28") and "certificate" in str(getattr(error, "orig", "")):
        what, remedy = (
            "asks for a certificate of the client",
            "name one: ?sslcert=FILE&sslkey=FILE in the URL",
        )
        return InvalidInput(f"the server of {shown} {what}", code="database_refused", remedy=remedy)
    for beginning, (what, remedy) in _REFUSALS.items():
        if told.startswith(beginning):
            return InvalidInput(f"the server of {shown} {what}", code="database_refused", remedy=remedy)
    return None


def _tls_fault(error: sqlalchemy.exc.SQLAlchemyError) -> tuple[str, str] | None:
    """What is wrong with the server's TLS, and what to do; None where it is something else."""
    cause: BaseException | None = error.orig if isinstance(error, sqlalchemy.exc.DBAPIError) else None
    while cause is not None and not isinstance(cause, ssl.SSLError):
        if _NO_TLS in str(cause):
            return "offers no TLS", "switch it on at the server: to another machine there is no line without"
        cause = cause.__cause__ or cause.__context__
    if not isinstance(cause, ssl.SSLCertVerificationError):
        return None
    if cause.verify_code in _HOST_DIFFERS:
        return (
            "shows a certificate that is not for the host in the URL",
            "name a host that it is for, or have the server certified for this one",
        )
    if cause.verify_code == _EXPIRED:
        return "shows a certificate that has expired", "have it certified anew"
    return (
        "shows a certificate that is not one of the authorities in sslrootcert, or of the system's",
        "name a file with the authority that has certified the server: ?sslrootcert=FILE in the URL",
    )


def state(error: sqlalchemy.exc.SQLAlchemyError) -> str:
    """The SQLSTATE of a server's error; empty where there is none."""
    origin = getattr(error, "orig", None)
    told = origin.args[0] if isinstance(origin, Exception) and origin.args else None
    return str(told.get("C", "")) if isinstance(told, dict) else ""


def _read(text: str) -> URL:
    try:
        url = sqlalchemy.make_url(text)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        raise _bad("the database's URL cannot be read", "write postgresql://user@host/database") from None
    if url.drivername not in _SCHEMES:
        raise _bad(
            f"there is no support for {url.drivername!r} databases",
            "write postgresql://user@host/database, or the path of a SQLite file",
        )
    if url.password is not None:
        raise _bad(
            "the database's URL holds a password",
            "take it out of the URL, change it at the server, and give the new one by environment or file",
        )
    if not url.username or not url.database:
        raise _bad("the database's URL names no user or no database", "write postgresql://user@host/database")
    if unknown := url.query.keys() - _KEYS:
        raise _bad(f"the database's URL has unknown settings: {', '.join(sorted(unknown))}", "take them out")
    return url.set(host=url.host or "127.0.0.1")


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _tls(url: URL) -> ssl.SSLContext:
    authorities, certificate = url.query.get("sslrootcert"), url.query.get("sslcert")
    try:
        context = ssl.create_default_context(cafile=str(authorities) if authorities else None)
    except OSError:
        raise _bad(
            f"the authorities of sslrootcert={authorities} cannot be read",
            "name a file of certificates in PEM",
        ) from None
    if certificate:
        _show(context, str(certificate), str(url.query.get("sslkey", "")))
    return context


def _show(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Let the server see a certificate of ours."""
    try:
        if Path(key).stat().st_mode & 0o077:
            raise _bad(f"the key sslkey={key} may be read by others", f"chmod 600 {key}")
        # A key under a passphrase would be asked for at the terminal.
        context.load_cert_chain(certificate, key, password=lambda: b"")
    except (OSError, ValueError):
        raise _bad(
            "the certificate of sslcert and the key of sslkey cannot be used",
            "name two files in PEM that belong together, the key without a passphrase",
        ) from None


def _prepare(connection: Any) -> None:
    cursor = connection.cursor()
    try:
        for statement in _SESSION:
            cursor.execute(statement)
        connection.commit()
    finally:
        cursor.close()


def _begin(connection: Connection) -> None:
    read_only = connection.get_execution_options().get("read_only", False)
    connection.exec_driver_sql(READ if read_only else WRITE)


def _take_time(connection: Connection) -> None:
    connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{_UPGRADE_S}s'")


def _bad(what: str, remedy: str) -> InvalidInput:
    return InvalidInput(what, code="bad_database_url", remedy=remedy)
