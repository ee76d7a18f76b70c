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


async def test_a_node_whose_disk_is_full_answers_nothing_and_goes_on_when_there_is_room(
    network,  # noqa: F811
    make_job,  # noqa: F811
    tmp_path,
    caplog,
):
    """Without a restart, and without being asked anew: it tries again by itself for a while."""
    with small_disk(tmp_path / "b"):
        async with network() as net:
            for letter in "abc":
                await net.furnish(letter).start()
            assert await net.answer(await net.submit(make_job)) == ((90,),)
            fill(tmp_path / "b")
            job = await net.submit(make_job, deadline_s=170)
            waiting = (str(net.credentials("b").name),)
            async with asyncio.timeout(60):
                while (status := await net.line.analyst.job(job.id)).waiting_for != waiting:
                    await asyncio.sleep(0.05)
            await asyncio.sleep(8)  # longer than it tried before
            status = await net.line.analyst.job(job.id)
            assert (status.state, status.waiting_for) == (JobState.GATHERING, waiting)
            (tmp_path / "b" / FILLER).unlink()
            async with asyncio.timeout(30):
                assert await net.answer(job) == ((90,),)
            assert not [one for one in caplog.records if "given up" in one.getMessage()]
            for node in net.nodes.values():
                await node.stop()
