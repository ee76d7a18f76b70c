"""A PostgreSQL server of the tests' own: started on a free port in a folder of its own, and gone with it."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PASSWORD = "owl-and-otter"
READER = "kapok_reader"
_ADMIN = "kapok_admin"
# pg8000 leaves the socket of a connection on which something was refused to the collector.
ON_POSTGRESQL = pytest.param(
    "postgresql",
    marks=[
        pytest.mark.filterwarnings("ignore::ResourceWarning"),
        pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    ],
)
_WITHOUT = "PostgreSQL is not installed here (Debian: apt-get install postgresql)"


class Postgres:
    """A running server.

    Attributes:
        folder: Holds its data and its socket.
        port: On 127.0.0.1, and of the socket.
        process: The postmaster; it was started here, and only it is ended.
    """

    def __init__(self, folder: Path, port: int, begin: Callable[[], subprocess.Popen[bytes]]) -> None:
        self.folder, self.port, self._begin = folder, port, begin
        self.process = begin()

    def url(self, user: str = READER, database: str = "postgres", *, by_socket: bool = False) -> str:
        if by_socket:
            return f"postgresql://{user}:{PASSWORD}@/{database}?host={self.folder}&port={self.port}"
        return f"postgresql://{user}:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    @contextlib.contextmanager
    def cursor(self, database: str = "postgres") -> Iterator[Any]:
        """As the administrator."""
        from adbc_driver_postgresql import dbapi

        with (
            dbapi.connect(self.url(_ADMIN, database), autocommit=True) as connection,
            connection.cursor() as one,
        ):
            yield one

    def run(self, *statements: str, database: str = "postgres") -> None:
        with self.cursor(database) as cursor:
            for statement in statements:
                cursor.execute(statement)

    def make(self, name: str, table: Any) -> None:
        """A table with the contents of a `pyarrow.Table`, that the reader may read."""
        with self.cursor() as cursor:
            cursor.execute(f'DROP TABLE IF EXISTS "{name}" CASCADE')
            cursor.adbc_ingest(name, table)
            cursor.execute(f'GRANT SELECT ON "{name}" TO {READER}')

    def start(self) -> None:
        """Start it again, after `stop` or `crash`; it is there when this returns."""
        self.process = self._begin()
        _wait(self)

    def crash(self) -> None:
        """End it as it stands: whoever is connected loses what was not written down, without a word."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(30)

    def stop(self) -> None:
        """End it in order: transactions under way are rolled back, and whoever is connected is told."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(signal.SIGINT)
        self.process.wait(30)


@contextlib.contextmanager
def started() -> Iterator[Postgres]:
    """A new server. Without one to be had the test is skipped; in continuous integration it fails."""
    binaries = _binaries()
    if binaries is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(_WITHOUT)
    # Not pytest's folder: a socket's path has about 100 bytes.
    folder = Path(tempfile.mkdtemp(prefix="kapok-postgres-"))
    try:
        user = _user()
        (folder / "password").write_text(PASSWORD)
        for one in (folder, folder / "password"):
            if user:
                os.chown(one, user.pw_uid, user.pw_gid)
        who = _becoming(user) if user else []
        command = [*who, binaries / "initdb", "-D", folder / "data", "-U", _ADMIN]
        command += ["--pwfile", folder / "password"]
        command += ["--auth=scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run(command, check=True, capture_output=True, cwd=folder)
        yield from _running([*who, binaries / "postgres"], folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def emptied(server: Postgres) -> str:
    """URL of an empty database for a broker's store, which the reader owns; without its password."""
    with server.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = 'kapok_store'")
        if cursor.fetchone() is None:
            cursor.execute(f"CREATE DATABASE kapok_store OWNER {READER}")
    server.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'kapok'",
        "DROP SCHEMA public CASCADE",
        f"CREATE SCHEMA public AUTHORIZATION {READER}",
        database="kapok_store",
    )
    return f"postgresql://{READER}@127.0.0.1:{server.port}/kapok_store"


def _running(program: list[str | Path], folder: Path) -> Iterator[Postgres]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": folder,
        "fsync": "off",
        "shared_buffers": "16MB",
        "max_connections": 20,
    }
    command = [*program, "-D", folder / "data"]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]

    def begin() -> subprocess.Popen[bytes]:
        with (folder / "log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)

    server = Postgres(folder, port, begin)
    try:
        _wait(server)
        server.run(f"CREATE ROLE {READER} LOGIN PASSWORD '{PASSWORD}'")
        yield server
    finally:
        server.stop()


def _wait(server: Postgres) -> None:
    for _ in range(600):
        if server.process.poll() is not None:
            break
        with contextlib.suppress(Exception):
            server.run("SELECT 1")
            return
        time.sleep(0.05)
    pytest.fail("PostgreSQL does not start: " + (server.folder / "log").read_text(errors="replace")[-2000:])


def _binaries() -> Path | None:
    """Of the newest version that is installed; Debian keeps them out of the way."""
    found = [*Path("/usr/lib/postgresql").glob("*/bin")]
    if on_path := shutil.which("postgres"):
        found.append(Path(on_path).resolve().parent)
    usable = [one for one in found if (one / "postgres").exists() and (one / "initdb").exists()]
    return max(
        usable, key=lambda one: (one.parent.name.isdigit() and int(one.parent.name), one), default=None
    )


def _user() -> pwd.struct_passwd | None:
    """Whom to run it as: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    pytest.fail("there is no user 'postgres' or 'nobody' to run PostgreSQL as")


def _becoming(user: pwd.struct_passwd) -> list[str | Path]:
    """What a command begins with to be run as somebody else.

    Not `subprocess`'s own `user`: for that it forks, and the child of a process in which gRPC has threads may
    abort before it is the program.
    """
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
