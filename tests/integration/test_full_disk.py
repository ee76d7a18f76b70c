"""A disk that is really full: a small file system under a broker's folder, or under a node's."""

import asyncio
import errno
import os
import subprocess
import tempfile
from contextlib import contextmanager

import pytest
from support.daemons import logging_restored, network  # noqa: F401 - fixtures
from support.hospitals import dataset, make_job, make_realm  # noqa: F401 - fixtures

from kapok.broker import handlers
from kapok.errors import Unavailable
from kapok.wire.messages import JobState

MIB = 24
FILLER = "filler"


@contextmanager
def small_disk(folder):
    """A file system of its own for a folder that is not there yet."""
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={MIB}m,mode=0700", "tmpfs", str(folder)]
    subprocess.run(mount, check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def why_not():
    """Why there can be none here; empty where there can."""
    if os.geteuid() != 0:
        return "to mount a file system takes root"
    with tempfile.TemporaryDirectory() as folder:
        mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]
        if subprocess.run(mount, check=False, capture_output=True).returncode:
            return "this machine lets nobody mount a file system"
        subprocess.run(["umount", folder], check=True)
    return ""


def fill(folder):
    with (folder / FILLER).open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise


pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())


async def test_a_broker_whose_disk_is_full_says_so_and_goes_on_when_there_is_room(
    network,  # noqa: F811
    make_job,  # noqa: F811
    tmp_path,
):
    with small_disk(tmp_path / "broker"):
        async with network() as net:
            for letter in "abc":
                await net.furnish(letter).start()
            assert await net.answer(await net.submit(make_job)) == ((90,),)
            fill(tmp_path / "broker")
            async with asyncio.timeout(60):
                while (await net.line.health.check())[0]:
                    await asyncio.sleep(0.1)
            with pytest.raises(Unavailable) as caught:
                await net.submit(make_job)
            assert caught.value.code == "store_unavailable"
            (tmp_path / "broker" / FILLER).unlink()
            async with asyncio.timeout(60):
                while not (await net.line.health.check())[0]:
                    await asyncio.sleep(0.1)
            assert await net.answer(await net.submit(make_job)) == ((90,),)
            for node in net.nodes.values():
                await node.stop()


async def test_a_node_whose_disk_is_full_is_asked_again_and_answers_when_there_is_room(
    network,  # noqa: F811
    make_job,  # noqa: F811
    tmp_path,
    monkeypatch,
    caplog,
):
    """Without a restart: its broker puts the question to it again, after a minute, or here after a second."""
    monkeypatch.setattr(handlers, "_SEND_AGAIN_S", 1.0)
    monkeypatch.setattr(handlers, "_IDLE_S", 0.5)
    with small_disk(tmp_path / "b"):
        async with network() as net:
            for letter in "abc":
                await net.furnish(letter).start()
            assert await net.answer(await net.submit(make_job)) == ((90,),)
            fill(tmp_path / "b")
            job = await net.submit(make_job, deadline_s=170)

            def given_up():
                return [one for one in caplog.records if "given up until the broker asks" in one.message]

            async with asyncio.timeout(60):
                while not given_up():
                    await asyncio.sleep(0.05)
            status = await net.line.analyst.job(job.id)
            assert status.state is JobState.GATHERING
            assert status.waiting_for == (str(net.credentials("b").name),)
            (tmp_path / "b" / FILLER).unlink()
            assert await net.answer(job) == ((90,),)
            for node in net.nodes.values():
                await node.stop()
