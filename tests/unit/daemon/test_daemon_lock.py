import asyncio
import os
import signal
import subprocess
import sys

import pytest

from kapok.daemon import alone, stopped_by_sigterm
from kapok.errors import InvalidInput


def test_a_folder_has_one_daemon_of_a_kind_at_a_time(tmp_path):
    with alone(tmp_path, "broker"):
        with pytest.raises(InvalidInput, match="broker") as caught, alone(tmp_path, "broker"):
            pass
        assert caught.value.code == "already_running"
        assert caught.value.remedy
        with alone(tmp_path, "node"):
            pass
    with alone(tmp_path, "broker"):
        assert (tmp_path / "broker.lock").stat().st_mode & 0o077 == 0


def test_a_lock_ends_with_what_failed_under_it(tmp_path):
    with pytest.raises(ZeroDivisionError), alone(tmp_path, "broker"):
        raise ZeroDivisionError
    with alone(tmp_path, "broker"):
        pass


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with pytest.raises(InvalidInput) as caught, alone(tmp_path / "none", "broker"):
        pass
    assert caught.value.code == "bad_folder"
    assert caught.value.remedy


async def test_sigterm_is_an_order_to_stop_and_is_handed_back():
    before, stop = signal.getsignal(signal.SIGTERM), asyncio.Event()
    with stopped_by_sigterm(stop):
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(30):
            await stop.wait()
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_process_may_have_as_many_connections_as_the_system_lets_it():
    script = (
        "import resource\n"
        "from kapok.daemon import room_for_connections\n"
        "most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, most), most))\n"
        "assert room_for_connections() == most == resource.getrlimit(resource.RLIMIT_NOFILE)[0]\n"
        "assert room_for_connections() == most\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
