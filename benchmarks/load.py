"""One real broker under a thousand nodes: memory, rounds, fairness, restart, and a soak.

    python -m benchmarks.load [--nodes N] [--members N,…] [--analysts N,…] [--seconds S] [--soak S] [--out F]

Rounds are measured for each number of members with each number of analysts; restart and soak with the last.

This process plays every node and analyst, each over a TLS connection of its own. They speak the broker's
protocol with true signatures and consent to everything; their vectors are noise of the right length, for a
broker cannot tell, and masking is measured elsewhere. The broker is a process of its own, on loopback; its
memory, handles and processor time are what the system says of it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import psutil

from benchmarks.actors import Analyst, Node, Party, Realm
from benchmarks.machine import describe

SAMPLE_S: Final = 10.0
AT_ONCE: Final = 32
IDLE_S: Final = 15.0
PATIENCE_S: Final = 180.0


@dataclass
class Broker:
    """The broker's process, started in a folder as enrolment leaves it."""

    home: Path
    address: str = ""
    process: subprocess.Popen[str] | None = None

    def start(self) -> float:
        """Start it; return the seconds until it answers calls."""
        began = time.perf_counter()
        with (self.home / "log.jsonl").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "kapok.cli", "broker", "run", "--home", str(self.home)],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        if self.process.stdout is None:
            raise AssertionError("its output is a pipe")
        self.address = json.loads(self.process.stdout.readline())["ready"]
        settings = self.home / "broker.toml"
        settings.write_text(settings.read_text().replace("127.0.0.1:0", self.address))
        return time.perf_counter() - began

    @property
    def seen(self) -> psutil.Process:
        """As the system sees it."""
        if self.process is None:
            raise AssertionError("it is not started")
        return psutil.Process(self.process.pid)

    def cpu_s(self) -> float:
        """Processor seconds so far."""
        times = self.seen.cpu_times()
        return float(times.user + times.system)

    def memory(self) -> int:
        """Resident bytes."""
        return int(self.seen.memory_info().rss)

    def kill(self) -> None:
        """End it as a power cut would."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()


class Sample(NamedTuple):
    """The broker's process at some second of a soak."""

    at_s: float
    memory_mib: float
    handles: int
    threads: int


@dataclass
class Load:
    """What is measured, and the parties."""

    broker: Broker
    nodes: list[Node]
    analysts: list[Analyst]
    sizes: list[int]
    crowds: list[int]
    found: dict[str, Any] = field(default_factory=dict)

    async def connect(self) -> None:
        """Bring every node onto the broker; what one costs in memory."""
        before, began = self.broker.memory(), time.perf_counter()
        await all_of([node.come for node in self.nodes])
        await self.all_there()
        took = time.perf_counter() - began
        idle_from = self.broker.cpu_s()
        await asyncio.sleep(IDLE_S)
        after = self.broker.memory()
        self.found |= {
            "connect_s": took,
            "broker_alone_mib": before / 2**20,
            "broker_with_nodes_mib": after / 2**20,
            "memory_per_node_kib": (after - before) / len(self.nodes) / 1024,
            "idle_cpu_percent": 100 * (self.broker.cpu_s() - idle_from) / IDLE_S,
        }

    async def all_there(self) -> None:
        """Until every node's watch is open."""
        async with asyncio.timeout(PATIENCE_S):
            while not all(node.connected for node in self.nodes):
                await asyncio.sleep(0.05)

    async def rounds(self, members: int, analysts: list[Analyst], seconds: float) -> dict[str, Any]:
        """Rounds of some members, one after the other for each analyst, until the time is over."""
        until, cpu, own = time.perf_counter() + seconds, self.broker.cpu_s(), time.process_time()
        began, again = time.perf_counter(), sum(node.again for node in self.nodes)

        async def ask(analyst: Analyst) -> list[float]:
            took: list[float] = []
            while time.perf_counter() < until:
                took.append(await analyst.round(self.nodes, members))
            return took

        each = await asyncio.gather(*map(ask, analysts))
        lasted = time.perf_counter() - began
        every = sorted(one for took in each for one in took)
        counts = [len(took) for took in each]
        return {
            "members": members,
            "analysts": len(analysts),
            "rounds": len(every),
            "rounds_per_s": len(every) / lasted,
            "latency_s": {
                name: quantile(every, q) for name, q in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))
            },
            "lines_lost": sum(analyst.lost for analyst in analysts),
            "answers_sent_again": sum(node.again for node in self.nodes) - again,
            "fewest_and_most_of_one_analyst": [min(counts), max(counts)],
            "medians_of_analysts_s": [min(map(statistics.median, each)), max(map(statistics.median, each))],
            "broker_cpu_s_per_round": (self.broker.cpu_s() - cpu) / len(every),
            "driver_cpu_s_per_round": (time.process_time() - own) / len(every),
        }

    async def all_rounds(self, seconds: float) -> list[dict[str, Any]]:
        """Rounds of each size with each crowd of analysts."""
        found = []
        for members in self.sizes:
            for crowd in self.crowds:
                found.append(await self.rounds(members, self.analysts[:crowd], seconds))
                say({"rounds": found[-1]})
        return found

    async def restart(self) -> dict[str, Any]:
        """Kill the broker and start it: until it answers, all nodes are back, and a round is done."""
        self.broker.kill()
        for node in self.nodes:
            node.connected = False
        began = time.perf_counter()
        ready = await asyncio.to_thread(self.broker.start)
        await self.all_there()
        back = time.perf_counter() - began
        await self.analysts[0].round(self.nodes, self.sizes[-1])
        return {"ready_s": ready, "all_nodes_back_s": back, "first_round_done_s": time.perf_counter() - began}

    async def soak(self, seconds: float) -> dict[str, Any]:
        """Rounds for a while, and the broker's memory and handles meanwhile."""
        samples: list[Sample] = []
        began = time.perf_counter()

        def sample() -> None:
            seen = self.broker.seen
            at = time.perf_counter() - began
            samples.append(Sample(at, self.broker.memory() / 2**20, seen.num_fds(), seen.num_threads()))

        async def watch() -> None:
            while True:
                sample()
                await asyncio.sleep(SAMPLE_S)

        watching = asyncio.create_task(watch())
        try:
            done = await self.rounds(self.sizes[-1], self.analysts[: self.crowds[-1]], seconds)
        finally:
            watching.cancel()
        sample()
        third = max(1, len(samples) // 3)
        first, last = samples[third : 2 * third], samples[2 * third :]
        return {
            "seconds": seconds,
            "rounds": done["rounds"],
            "lines_lost": done["lines_lost"],
            "memory_mib_middle_and_last_third": [mean_mib(first), mean_mib(last)],
            "most_memory_mib": max(one.memory_mib for one in samples),
            "handles_first_and_last": [samples[0].handles, samples[-1].handles],
            "threads_first_and_last": [samples[0].threads, samples[-1].threads],
            "samples": [[round(value, 1) for value in one] for one in samples],
        }


def mean_mib(samples: list[Sample]) -> float:
    """Mean memory of some samples."""
    return statistics.fmean(one.memory_mib for one in samples)


def quantile(values: list[float], q: float) -> float:
    """Of sorted values, the one at or above a share of them."""
    return values[min(len(values) - 1, int(q * len(values)))]


async def all_of(tasks: list[Callable[[], Awaitable[None]]]) -> None:
    """Do all of these, some at a time."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(task: Callable[[], Awaitable[None]]) -> None:
        async with room:
            await task()

    await asyncio.gather(*map(one, tasks))


async def measure(
    arguments: argparse.Namespace, folder: Path, keep: Callable[[dict[str, Any]], None]
) -> None:
    """All of it, one thing after the other; what was found is kept at each step."""
    realm = Realm()
    broker = Broker(realm.furnish_broker(folder / "broker", arguments.store))
    started = await asyncio.to_thread(broker.start)
    nodes = [Node(realm, f"h{number:04}", broker) for number in range(arguments.nodes)]
    analysts = [Analyst(realm, f"u{number}", broker) for number in range(max(arguments.analysts))]
    sizes, crowds = arguments.members, arguments.analysts
    load = Load(broker, nodes, analysts, sizes, crowds, {"broker_start_s": started})
    try:
        dataset = await analysts[0].publish()
        for node in nodes:
            node.dataset = dataset
        for analyst in analysts:
            analyst.dataset = dataset
        await load.connect()
        say(load.found)
        works: dict[str, Callable[[], Awaitable[Any]]] = {
            "rounds": lambda: load.all_rounds(arguments.seconds),
            "restart": load.restart,
        }
        if arguments.soak > 0:
            works["soak"] = lambda: load.soak(arguments.soak)
        for name, work in works.items():
            keep(load.found)
            load.found[name] = await work()
            say({name: load.found[name]})
        keep(load.found)
    finally:
        parties: list[Party] = [*nodes, *analysts]
        await asyncio.gather(*(party.leave() for party in parties), return_exceptions=True)
        broker.kill()


def positive(text: str) -> int:
    """A number from 1 on."""
    if (number := int(text)) < 1:
        raise ValueError(text)
    return number


def numbers(text: str) -> list[int]:
    """Numbers in a row, as the command line gives them."""
    return [positive(one) for one in text.split(",")]


def row(many: list[int]) -> str:
    """The same, as they were given."""
    return ",".join(map(str, many))


def say(found: dict[str, Any]) -> None:
    """Print what was found."""
    print(json.dumps(found, indent=2), flush=True)


def main() -> None:
    """Measure, and write the document."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", type=positive, default=1000)
    parser.add_argument("--members", type=numbers, default=[10, 50, 200], help="of a round, ascending")
    parser.add_argument("--analysts", type=numbers, default=[1, 8], help="at once, ascending")
    parser.add_argument("--seconds", type=positive, default=40, help="of each kind of rounds")
    parser.add_argument("--soak", type=int, default=300, help="seconds of rounds, sampled each 10 s; or 0")
    parser.add_argument("--store", default="broker.db", help="as in broker.toml")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if max(arguments.members) > arguments.nodes:
        parser.error("a round cannot have more members than there are nodes")
    command = (
        f"python -m benchmarks.load --nodes {arguments.nodes} --members {row(arguments.members)} "
        f"--analysts {row(arguments.analysts)} --seconds {arguments.seconds} --soak {arguments.soak}"
    )
    document: dict[str, Any] = {"command": command, "machine": describe()}

    def keep(found: dict[str, Any]) -> None:
        if arguments.out:
            arguments.out.write_text(json.dumps(document | {"found": found}, indent=2) + "\n")

    with tempfile.TemporaryDirectory(prefix="kapok-load-") as folder:
        asyncio.run(measure(arguments, Path(folder), keep))


if __name__ == "__main__":
    main()
