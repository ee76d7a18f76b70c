"""A network namespace of its own for one process, with a cable to this one that can be pulled.

    with namespace() as there:
        process = there.popen([…])        # reaches this machine as there.HERE
        there.pull(), there.plug()

Only root may make one, and the programs `ip` and `nsenter` are needed: `why_not` says what is missing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

HERE, THERE = "10.213.7.1", "10.213.7.2"


def why_not() -> str:
    """Why there can be none here; empty where there can."""
    if os.geteuid() != 0:
        return "network namespaces take root"
    if shutil.which("ip") is None:
        return "the program ip is not installed (Debian: iproute2)"
    tried = subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False)
    return "" if tried.returncode == 0 else "this machine lets nobody make a network namespace"


class Namespace:
    """A namespace under this name, and the cable."""

    def __init__(self, name: str) -> None:
        self.name, self._cable = name, f"{name}-a"

    def popen(self, command: Sequence[str], **options) -> subprocess.Popen:
        """Start a process in there."""
        return subprocess.Popen(["ip", "netns", "exec", self.name, *command], **options)

    def pull(self) -> None:
        """Nothing gets through any more, and nobody is told."""
        _ip("link", "set", self._cable, "down")

    def plug(self) -> None:
        """It is as before."""
        _ip("link", "set", self._cable, "up")


@contextmanager
def namespace() -> Iterator[Namespace]:
    """A namespace that is gone when the block is left."""
    name = f"kapok{os.getpid() % 100_000}"
    here, there = f"{name}-a", f"{name}-b"
    _ip("netns", "add", name)
    try:
        _ip("link", "add", here, "type", "veth", "peer", "name", there)
        _ip("link", "set", there, "netns", name)
        _ip("address", "add", f"{HERE}/30", "dev", here)
        _ip("link", "set", here, "up")
        for words in (
            ("address", "add", f"{THERE}/30", "dev", there),
            ("link", "set", there, "up"),
            ("link", "set", "lo", "up"),
        ):
            _ip("-netns", name, *words)
        yield Namespace(name)
    finally:
        _ip("netns", "del", name)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
