"""The whole network on one machine: an authority, a broker, the holders' nodes and an analyst.

Each is enrolled as the README says, with a one-time token, and runs as a process of its own with a folder of
its own:

    <folder>/authority  <folder>/broker  <folder>/holders/<name>  <folder>/analyst

Ports are picked by the system. Tests bring up the same network.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from kapok.demo.hospitals import HEART
from kapok.demo.processes import Daemon, Finished, call
from kapok.demo.scenario import TRUST_DOMAIN, Scenario, party_of
from kapok.errors import InternalError
from kapok.protocols.sizes import DEFAULT_KEY_BITS

__all__ = ["Network"]

_ANYWHERE: Final = "127.0.0.1:0"
_JOINED_S: Final = 180.0
_AT_ONCE: Final = 2


class Network:
    """Brings the parties up in order, and down again whatever happens. Use it in ``with``."""

    def __init__(
        self,
        folder: Path,
        scenario: Scenario = HEART,
        *,
        bits: int = DEFAULT_KEY_BITS,
        tell: Callable[[str], None] = lambda _text: None,
    ) -> None:
        """Plan a network; nothing is made yet.

        Args:
            folder: An empty folder, or one that is not there yet.
            scenario: The dataset, and who has it.
            bits: Of the analyst's result key.
            tell: Told what is being done.
        """
        self.folder = folder
        self.scenario = scenario
        self.bits = bits
        self.dataset_hash = ""
        self.seconds: dict[str, float] = {}
        self.peak_memory: dict[str, int | None] = {}
        self._tell = tell
        self.authority = Daemon("authority", ["authority", "run"], folder / "authority")
        self.broker = Daemon("broker", ["broker", "run"], folder / "broker")
        self.nodes = {
            holder.name: Daemon(holder.name, ["node", "run"], folder / "holders" / holder.name)
            for holder in scenario.holders
        }
        self.analyst = folder / "analyst"

    def __enter__(self) -> Self:
        try:
            self._step("authority", self._start_authority)
            self._step("enrolment", self._enrol_all)
            self._step("dataset", self._publish)
            self._step("nodes", self._start_nodes)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def daemons(self) -> tuple[Daemon, ...]:
        """All of them, the first to stop first."""
        return (*self.nodes.values(), self.broker, self.authority)

    def stop(self) -> None:
        """End every process, whatever state it is in."""
        for daemon in self.daemons:
            daemon.ask_to_stop()
        for daemon in self.daemons:
            daemon.stop()

    def kapok(self, *arguments: str, home: Path | None = None, **options: object) -> Finished:
        """Run one command of the analyst, or of another folder."""
        return call(arguments, home or self.analyst, **options)  # type: ignore[arg-type]

    def token(self, role: str, organisation: str, name: str, *more: str) -> str:
        """A one-time token from the authority."""
        given = self._must(["authority", "token", role, organisation, name, *more], self.authority.home)
        return given.stdout.strip()

    def enrol(self, home: Path, role: str, organisation: str, name: str, *more: str) -> None:
        """Enrol a party with a token, which goes through a pipe: command lines are seen by everybody."""
        token = self.token(role, organisation, name, *more)
        self._must(["enroll", "-"], home, given=token)

    def wait_until_joined(self, names: Sequence[str] | None = None) -> None:
        """Wait until the catalogue shows the holders' nodes as connected members of the dataset.

        Raises:
            InternalError: ``not_joined``: that took too long.
        """
        wanted = {party_of(name) for name in self.nodes if names is None or name in names}
        until = time.monotonic() + _JOINED_S
        while time.monotonic() < until:
            shown = self.kapok("dataset", "show", self.scenario.dataset, "--json")
            members = shown.document()["members"] if shown.status == 0 else []
            if wanted <= {member["name"] for member in members if member["connected"]}:
                return
        raise InternalError(f"nodes did not join: {shown.stdout or shown.stderr}", code="not_joined")

    def _step(self, name: str, work: Callable[[], None]) -> None:
        began = time.monotonic()
        work()
        self.seconds[name] = time.monotonic() - began

    def _start_authority(self) -> None:
        self._tell("an authority: makes the root key that all identities rest on")
        self._must(["authority", "init", TRUST_DOMAIN, "--listen", _ANYWHERE], self.authority.home)
        self.authority.start()
        self.authority.wait_ready()

    def _enrol_all(self) -> None:
        self._tell("a broker: enrols with a one-time token, and listens")
        self.enrol(self.broker.home, "broker", "exchange", "main")
        _set(self.broker.home / "broker.toml", "listen", _ANYWHERE)
        self.broker.start()
        address = self.broker.wait_ready()
        _set(self.broker.home / "broker.toml", "listen", address)
        self._tell(f"{', '.join(self.nodes)}, and an analyst of the university: enrol likewise")
        parties = [
            (self.analyst, "analyst", "university", "research"),
            *((node.home, "node", name, "main") for name, node in self.nodes.items()),
        ]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            try:
                list(pool.map(lambda party: self.enrol(*party, "--broker", address), parties))
            finally:
                pool.shutdown(cancel_futures=True)
        _set(self.analyst / "analyst.toml", "key_bits", self.bits)

    def _publish(self) -> None:
        self._tell(f"the analyst publishes the schema of the dataset {self.scenario.dataset}")
        schema = str(self.scenario.schema_file(self.analyst))
        published = self._must(["dataset", "publish", schema, "--json"], self.analyst).document()
        self.dataset_hash = published["hash"]

    def _start_nodes(self) -> None:
        self._tell("each holder names the schema by its hash, writes its policy, and starts its node")
        for holder in self.scenario.holders:
            holder.furnish(self.nodes[holder.name].home, self.broker.address, self.dataset_hash)
        nodes, at_once = list(self.nodes.values()), max(_AT_ONCE, os.cpu_count() or 1)
        for first in range(0, len(nodes), at_once):
            # Not more than there are processors: many that start at once are all late.
            for node in nodes[first : first + at_once]:
                node.start()
            for node in nodes[first : first + at_once]:
                node.wait_ready()
        self.wait_until_joined()

    def _must(self, arguments: Sequence[str], home: Path, *, given: str | None = None) -> Finished:
        finished = call(arguments, home, given=given)
        if finished.status != 0:
            said = finished.stderr.strip() or finished.stdout.strip()
            raise InternalError(f"`kapok {' '.join(arguments[:2])}` failed: {said}", code="demo_failed")
        return finished


def _set(path: Path, key: str, value: str | int) -> None:
    """Change one value of a settings file, and nothing else in it."""
    text = path.read_text(encoding="utf-8")
    written = f'"{value}"' if isinstance(value, str) else str(value)
    changed, count = re.subn(rf"(?m)^{key} = .*$", f"{key} = {written}", text)
    if count != 1:
        raise InternalError(f"{path} has not one line {key} = …", code="demo_failed")
    draft = path.with_suffix(".draft")
    draft.write_text(changed, encoding="utf-8")
    draft.replace(path)
