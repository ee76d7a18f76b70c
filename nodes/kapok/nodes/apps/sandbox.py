"""The room that an app is shut in: bubblewrap, with namespaces of its own for all that the kernel can part.

It sees an interpreter, the app, the partition, and a folder of bounded size that vanishes with it: no
network, no other process, no file of the node. Where the node is root, the app is another user, of no other
right and no file.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from kapok.errors import InvalidInput
from kapok.nodes.apps.environment import AppEnvironment
from kapok.nodes.apps.limits import MIB, AppLimits
from kapok.nodes.apps.seccomp import seccomp_filter

__all__ = [
    "APP",
    "INSIDE",
    "PARTITION",
    "Room",
    "check_sandbox",
    "check_walls",
    "plain_room",
    "sandboxed_room",
]

INSIDE: Final = Path(__file__).parent / "inside"
"""What runs in the room beside the app."""

APP: Final = "/app"
PARTITION: Final = "/data/partition.parquet"
_HARNESS: Final = "/kapok"
_SCRATCH: Final = "/tmp"  # noqa: S108 - the sandbox's own, made for it

_LEAST_VERSION: Final = (0, 8)
_VERSION: Final = re.compile(r"(\d+)\.(\d+)")
_SYSTEM: Final = ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin")
_LINKER: Final = ("/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime")
_USERS: Final = range(61_184, 65_520)
"""Numbers that no person has: those which systemd gives to services for as long as they run."""

_SHUT: Final = ("--remount-ro", "/dev", "--remount-ro", "/", "--")
"""After all mounts: nothing else can be written to."""

_TRIAL_S: Final = 20
_HOW: Final = (
    "install bubblewrap 0.8 or later (Debian: apt-get install bubblewrap), and let the kernel make user "
    "namespaces (under systemd: the drop-in docs/systemd/kapok-node.service.d/apps.conf); or "
    'run apps without walls, as programs of this machine: isolation = "none" in their approval'
)


@dataclass(frozen=True, slots=True)
class Room:
    """How to start a process, and what it is told of where it is.

    Attributes:
        command: The command that stands before ``main.py`` and its arguments' place, ending with ``main.py``.
        environment: Its whole environment.
        uid: The user to become inside; 0 to stay who one is.
        walls: Whether it is a sandbox.
        app: Where the app lies, seen from inside.
    """

    command: tuple[str, ...]
    environment: dict[str, str]
    uid: int
    walls: bool
    app: str


def sandboxed_room(
    environment: AppEnvironment, app: Path, partition: Path, limits: AppLimits, hidden: Iterable[Path]
) -> Room:
    """The command that shuts an app in.

    Args:
        environment: The interpreter.
        app: The unpacked bundle.
        partition: The file with the approved columns.
        limits: What it may use.
        hidden: Files and folders of the node that it must not see.

    Raises:
        InvalidInput: ``sandbox_unavailable``; ``sandbox_would_show`` when something hidden lies where the
            interpreter does.
    """
    shown = check_walls(environment, hidden)
    uid = _USERS.start + secrets.randbelow(len(_USERS)) if os.geteuid() == 0 else 0
    inside = _environment(limits, PARTITION, _SCRATCH, _HARNESS)
    command = [
        _program(),
        *_namespaces(as_root=uid != 0),
        *(word for name, value in inside.items() for word in ("--setenv", name, value)),
        *_system(),
        *_own_folders(limits.scratch_mib * MIB),
        # After the folders above: an interpreter may lie in one of them.
        *_bound(shown),
        *("--ro-bind", str(INSIDE), _HARNESS, "--ro-bind", str(app), APP),
        *("--perms", "0755", "--dir", str(Path(PARTITION).parent), "--ro-bind", str(partition), PARTITION),
        *("--chdir", _SCRATCH),
        *_SHUT,
        *(str(environment.python), "-s", "-u", f"{_HARNESS}/main.py"),
    ]
    return Room(tuple(command), {}, uid, walls=True, app=APP)


def check_walls(environment: AppEnvironment, hidden: Iterable[Path]) -> list[Path]:
    """Find out whether an app can be shut in with this interpreter, out of sight of what is hidden.

    Returns:
        The folders that it sees.

    Raises:
        InvalidInput: as `sandboxed_room`.
    """
    check_sandbox()
    shown = [Path(path) for path in _SYSTEM if Path(path).is_dir() and not Path(path).is_symlink()]
    shown += [folder for folder in environment.folders if not _inside(folder, shown)]
    _check_hidden(shown, hidden)
    return shown


def plain_room(
    environment: AppEnvironment, app: Path, partition: Path, limits: AppLimits, scratch: Path
) -> Room:
    """A process of its own and nothing more: it reads whatever the node's user may read. No sandbox.

    Args:
        environment: The interpreter.
        app: The unpacked bundle.
        partition: The file with the approved columns.
        limits: What it may use.
        scratch: Its folder.
    """
    return Room(
        (str(environment.python), "-s", "-u", str(INSIDE / "main.py")),
        _environment(limits, str(partition), str(scratch), str(INSIDE)),
        0,
        walls=False,
        app=str(app),
    )


@lru_cache(maxsize=1)
def check_sandbox() -> None:
    """Find out, once, whether this machine can shut an app in.

    Raises:
        InvalidInput: ``sandbox_unavailable``, with the reason and what to do.
    """
    if seccomp_filter() is None:
        raise _unavailable("this processor's system calls are not known to Kapok")
    version = _run([_program(), "--version"])
    found = _VERSION.search(version or "")
    if found is None or (int(found[1]), int(found[2])) < _LEAST_VERSION:
        raise _unavailable("bubblewrap is older than 0.8, or does not run")
    trial = (
        *_namespaces(as_root=os.geteuid() == 0),
        *_system(),
        *_own_folders(MIB),
        *_bound([Path("/usr")]),
        *_SHUT,
    )
    if _run([_program(), *trial, "/usr/bin/true"]) is None:
        raise _unavailable(
            "bubblewrap is there, and this machine does not let it make namespaces or mounts of its own"
        )


def _program() -> str:
    path = shutil.which("bwrap", path="/usr/bin:/usr/local/bin:/bin")
    if path is None:
        raise _unavailable("bubblewrap is not installed")
    return path


def _run(command: list[str]) -> str | None:
    """What a command prints; None when it fails."""
    try:
        return subprocess.run(command, capture_output=True, check=True, timeout=_TRIAL_S, text=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None


def _unavailable(why: str) -> InvalidInput:
    return InvalidInput(f"there is no sandbox for apps here: {why}", code="sandbox_unavailable", remedy=_HOW)


def _namespaces(*, as_root: bool) -> tuple[str, ...]:
    """Namespaces for everything. Root needs none of users: it gives itself up once it is inside."""
    who = (
        ("--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID")
        if as_root
        else ("--unshare-user", "--uid", "1000", "--gid", "1000")
    )
    return (
        *who,
        *("--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
        *("--hostname", "app", "--new-session", "--die-with-parent", "--clearenv"),
    )


def _own_folders(scratch: int) -> tuple[str, ...]:
    """What the kernel shows, and what is its own to write, so many bytes of it; all of it vanishes."""
    return (
        *("--proc", "/proc", "--dev", "/dev"),
        *("--perms", "1777", "--size", str(MIB), "--tmpfs", "/dev/shm"),  # noqa: S108
        *("--perms", "1777", "--size", str(scratch), "--tmpfs", _SCRATCH),
    )


def _system() -> Iterator[str]:
    yield from ("--perms", "0755", "--dir", "/etc")
    for path in _SYSTEM:
        if Path(path).is_symlink():
            yield from ("--symlink", str(Path(path).readlink()), path)
    for path in _LINKER:
        yield from ("--ro-bind-try", path, path)


def _bound(folders: Iterable[Path]) -> Iterator[str]:
    """Each folder in its own place, whose parents all may pass.

    Left to itself bubblewrap makes them root's alone.
    """
    passed = {Path("/")}
    for folder in folders:
        for parent in (one for one in reversed(folder.parents) if one not in passed):
            passed.add(parent)
            yield from ("--perms", "0755", "--dir", str(parent))
        yield from ("--ro-bind", str(folder), str(folder))


def _inside(path: Path, folders: Iterable[Path]) -> bool:
    return any(path == folder or folder in path.parents for folder in folders)


def _check_hidden(shown: list[Path], hidden: Iterable[Path]) -> None:
    for path in hidden:
        for folder in shown:
            if _inside(path.resolve(), [folder.resolve()]):
                raise InvalidInput(
                    f"an app's sandbox shows the folder {folder}, for Python needs it, and {path} lies in it",
                    code="sandbox_would_show",
                    remedy="move the node's folder and data elsewhere, or name another interpreter in "
                    "node.toml, [apps] python",
                )


def _environment(limits: AppLimits, partition: str, scratch: str, harness: str) -> dict[str, str]:
    threads = str(limits.cpus)
    return {
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": scratch,
        "TMPDIR": scratch,
        "PYTHONPATH": harness,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
        "MALLOC_ARENA_MAX": "2",
        "OMP_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_HOME": f"{scratch}/.flwr",
        "KAPOK_PARTITION": partition,
    }
