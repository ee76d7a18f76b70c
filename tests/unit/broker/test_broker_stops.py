"""What a broker's process says when it stops, or cannot start: JSON, line for line, in order."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest
from support.broker import settle

from kapok.errors import KapokError
from kapok.wire.channel import connect

WATCHES = 8


@pytest.fixture
def domain(parties):
    return parties.Domain(time.time())


@pytest.fixture
def home(domain, tmp_path):
    return furnish(domain, tmp_path / "broker")


def furnish(domain, home, listen="127.0.0.1:0"):
    return settle(domain.credentials("exchange", "broker", "main"), home, listen, level="info")


def begin(home):
    """`kapok broker run` in a process of its own, once it listens; and its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "kapok.cli", "broker", "run", "--home", str(home)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    line = process.stdout.readline()
    return process, json.loads(line)["ready"] if line else None


async def watching(credentials, address, begun):
    async with await connect(credentials, address) as line:
        async for _ in line.node.watch():
            begun.release()


async def stopped_under_watches(domain, home, *, leave):
    """What a broker that was watched wrote until SIGTERM ended it; `leave`: its watches end then too."""
    process, address = await asyncio.to_thread(begin, home)
    try:
        begun = asyncio.Semaphore(0)
        nodes = [domain.credentials(f"org{number}", "node", "node") for number in range(WATCHES)]
        tasks = [asyncio.create_task(watching(node, address, begun)) for node in nodes]
        for _ in tasks:
            await begun.acquire()
        process.send_signal(signal.SIGTERM)
        for task in tasks:
            if leave:
                task.cancel()
            with suppress(KapokError, asyncio.CancelledError):
                await task
        _, errors = await asyncio.to_thread(process.communicate, timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    return errors


def messages(errors):
    """Of each line, which must be JSON."""
    return [json.loads(line)["message"] for line in errors.splitlines()]


@pytest.mark.parametrize("leave", [False, True])
async def test_a_broker_that_is_stopped_under_watches_logs_json_alone(domain, home, leave):
    said = messages(await stopped_under_watches(domain, home, leave=leave))
    assert (said[0], said[-1]) == ("broker listens", "broker stopped")


@pytest.mark.slow
async def test_however_often_a_broker_is_stopped_under_watches_it_logs_json_alone(domain, home):
    for number in range(20):
        said = messages(await stopped_under_watches(domain, home, leave=number % 2 == 1))
        assert said[-1] == "broker stopped"


def test_a_broker_that_never_listened_does_not_say_that_it_stopped(domain, home, tmp_path):
    first, address = begin(home)
    try:
        second, ready = begin(furnish(domain, tmp_path / "second", listen=address))
        _, errors = second.communicate(timeout=60)
        assert (second.returncode, ready) == (3, None)
        assert "[port_in_use]" in errors
        assert "broker" not in errors.split("[port_in_use]")[0]
    finally:
        first.kill()
        first.communicate()
