import ast
import errno
import inspect
import os
import resource
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from support.apps import archive, files_of, message, need_sandbox, running, seen

from kapok.errors import InternalError, InvalidInput, LocalProtocolError
from kapok.nodes.apps import sandbox, watch
from kapok.nodes.apps.environment import app_environment
from kapok.nodes.apps.limits import AppLimits, bad_limit
from kapok.nodes.apps.seccomp import seccomp_filter

COUNTING = """
from flwr.app import ConfigRecord as Kept
calls = context.state["kept"]["calls"] + 1 if "kept" in context.state else 1
context.state["kept"] = Kept({"calls": calls})
from flwr_datasets import FederatedDataset
from flwr_datasets.partitioner import DirichletPartitioner
rows = FederatedDataset(dataset="some/heart", partitioners={"train": DirichletPartitioner(4, alpha=1)})
rows = rows.load_partition(context.node_config["partition-id"], "train").with_format("numpy")
print("a row:", rows[0])
total = float(sum(array.sum() for array in message.content["arrays"].to_numpy_ndarrays()))
return Message(
    answer(
        calls=calls,
        total=total,
        rows=len(rows),
        oldest=int(rows["age"].max()),
        rate=context.run_config["learning-rate"],
        ids=f"{context.run_id} {context.node_id}",
    ),
    reply_to=message,
)
"""


@pytest.mark.parametrize("isolation", ["sandbox", "none"])
def test_an_app_reads_its_partition_and_keeps_its_state_over_a_restart(tmp_path, isolation):
    if isolation == "sandbox":
        need_sandbox()
    arrays = {"w": np.full(1000, 0.5)}
    with running(tmp_path, files_of(COUNTING), isolation=isolation) as app:
        assert app.state == b""
        first = seen(app.call(message(arrays=arrays)))
        assert seen(app.call(message(arrays=arrays)))["calls"] == 2
        state = app.state
        assert len(list((tmp_path / "apps" / "jobs").iterdir())) == 1
    assert first == {"calls": 1, "total": 500.0, "rows": 4, "oldest": 70, "rate": 0.01, "ids": "7 3"}
    assert not list((tmp_path / "apps" / "jobs").iterdir())
    with pytest.raises(LocalProtocolError) as closed:
        app.call(message())
    assert closed.value.code == "app_closed"
    with running(tmp_path, files_of(COUNTING), isolation=isolation, state=state) as app:
        assert seen(app.call(message(arrays=arrays)))["calls"] == 3
    output = tmp_path / "apps" / "output" / f"{'ab' * 32}.txt"
    assert output.stat().st_mode & 0o077 == 0
    assert "a row: {'age': " in output.read_text()


def test_a_node_with_many_open_files_runs_apps_as_well(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    held = [os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC) for _ in range(1100)]
    try:
        app = files_of("return Message(answer(x=1), reply_to=message)")
        with running(tmp_path, app, isolation="none") as process:
            assert seen(process.call(message()))["x"] == 1
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_descendants_are_found_however_deep():
    """Each starts the next; a walk that called itself for each would leave the rest behind."""
    nested = "import os\nfor _ in range(80):\n    if os.fork(): os.wait(); os._exit(0)\ninput()"
    chain = subprocess.Popen([sys.executable, "-S", "-c", nested], stdin=subprocess.PIPE)
    before = sys.getrecursionlimit()
    try:
        until = time.monotonic() + 30
        while len(list(watch._tree(chain.pid))) < 81 and time.monotonic() < until:
            time.sleep(0.01)
        sys.setrecursionlimit(len(inspect.stack(0)) + 60)
        found = list(watch._tree(chain.pid))
    finally:
        sys.setrecursionlimit(before)
        chain.communicate()
    assert len(found) == len(set(found)) == 81
    assert found[0] == chain.pid


def test_descendants_are_found_though_a_thread_of_their_parent_has_just_ended(monkeypatch):
    tasks = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda folder: [folder / "0", *tasks(folder)])
    child = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert child.pid in set(watch._tree(os.getpid()))
    finally:
        child.communicate()


def test_an_app_that_cannot_be_loaded_says_nothing_of_why(tmp_path):
    need_sandbox()
    files = files_of("return None") | {"little/client.py": b"import nowhere_to_be_found"}
    with pytest.raises(InvalidInput) as refused, running(tmp_path, files):
        pass
    assert refused.value.code == "app_not_loaded"
    assert "nowhere" not in refused.value.diagnostics()
    assert not list((tmp_path / "apps" / "jobs").iterdir())
    assert "nowhere_to_be_found" in (tmp_path / "apps" / "output" / f"{'ab' * 32}.txt").read_text()


def test_without_bubblewrap_there_is_no_sandbox_and_nothing_is_called_one(tmp_path, monkeypatch):
    monkeypatch.setattr(sandbox.shutil, "which", lambda *_, **__: None)
    sandbox.check_sandbox.cache_clear()
    try:
        with pytest.raises(InvalidInput) as refused, running(tmp_path, files_of("return None")):
            pass
    finally:
        sandbox.check_sandbox.cache_clear()
    assert refused.value.code == "sandbox_unavailable"
    assert "bubblewrap is not installed" in refused.value.message


def test_where_proc_is_covered_there_is_no_sandbox_for_an_ordinary_user(tmp_path):
    """As in most containers: found out before an app is started, and said."""
    need_sandbox()
    if os.geteuid() != 0:
        pytest.skip("covering needs root")
    script = f"""
import sys
sys.path[:0] = {sys.path!r}
from kapok.errors import InvalidInput
from kapok.nodes.apps.sandbox import check_sandbox
try:
    check_sandbox()
except InvalidInput as error:
    print(error.code, error.message)
"""
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-c", script)
    covered = ("--ro-bind", "/proc/sys", "/proc/sys")
    ran = subprocess.run(
        ["bwrap", "--dev-bind", "/", "/", *open_to_all(Path(sys.base_prefix)), *covered, *nobody],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert ran.stdout.startswith("sandbox_unavailable there is no sandbox"), ran.stderr
    assert "namespaces or mounts" in ran.stdout


def test_a_node_whose_folder_the_sandbox_would_show(tmp_path):
    need_sandbox()
    with (
        pytest.raises(InvalidInput) as refused,
        running(tmp_path, files_of("return None"), hidden=(Path(sys.prefix) / "node.key",)),
    ):
        pass
    assert refused.value.code == "sandbox_would_show"


def test_a_node_whose_folder_was_given_relative_to_where_it_was_started(tmp_path, monkeypatch):
    need_sandbox()
    monkeypatch.chdir(tmp_path)
    with running(Path(), files_of("return Message(answer(there=True), reply_to=message)")) as app:
        assert seen(app.call(message())) == {"there": True}


def test_an_interpreter_that_cannot_be_used(tmp_path):
    with pytest.raises(InvalidInput) as missing:
        app_environment(tmp_path / "python")
    assert missing.value.code == "bad_app_python"
    bare = tmp_path / "bare"
    bare.write_text(f'#!/bin/sh\nshift\nexec {sys.executable} -I -S "$@"\n')
    bare.chmod(0o755)
    with pytest.raises(InvalidInput) as without:
        app_environment(bare)
    assert without.value.code == "flower_missing"


def test_a_process_that_cannot_be_started(tmp_path, monkeypatch):
    need_sandbox()
    monkeypatch.setattr(sandbox, "_program", lambda: str(tmp_path / "gone"))
    for _ in range(2):
        before = psutil.Process().num_fds()
        with pytest.raises(InternalError) as refused, running(tmp_path, files_of("return None")):
            pass
        assert refused.value.code == "app_not_started"
    assert psutil.Process().num_fds() == before, "its pipes are closed"
    assert not list((tmp_path / "apps" / "jobs").iterdir())


def test_the_filter_for_each_machine():
    for machine, audit in (("x86_64", 0xC000003E), ("aarch64", 0xC00000B7)):
        program = seccomp_filter(machine)
        lines = list(struct.iter_unpack("<HBBI", program))
        assert lines[1] == (0x15, 1, 0, audit)
        assert len(lines) < 255, "a jump is one byte"
        assert lines[-1] == (0x06, 0, 0, 0x7FFF0000)
        assert (0x06, 0, 0, 0x00050000 | errno.ENOSYS) in lines
    assert seccomp_filter("vax") is None


def test_limits_out_of_range():
    assert bad_limit(AppLimits()) is None
    assert bad_limit(AppLimits(memory_mib=1)) == ("memory_mib", "write a number from 256 to 4194304")


AS_NOBODY = """
import os, sys
sys.path[:0] = {path!r}
from pathlib import Path
from support.apps import files_of, message, running, seen
assert os.getuid() == 65534
TRAIN = '''
import os, time
forked = 0
try:
    while True:
        if os.fork() == 0:
            time.sleep(1000)
        forked += 1
except BlockingIOError:
    pass
return Message(answer(uid=os.getuid(), forked=forked, home=os.path.exists({home!r})), reply_to=message)
'''
with running(Path({home!r}), files_of(TRAIN), processes=20) as app:
    print(seen(app.call(message())))
"""


def test_an_app_as_an_ordinary_user():
    """Tests run as root in many places; a node should not. Here one does what the node does, as nobody."""
    need_sandbox()
    if os.geteuid() != 0:
        pytest.skip("this is an ordinary user already")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as home:
        os.chown(home, 65534, 65534)
        script = AS_NOBODY.format(path=sys.path, home=home)
        nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-c", script)
        ran = subprocess.run(
            ["bwrap", "--dev-bind", "/", "/", *open_to_all(Path(sys.base_prefix)), *nobody],
            capture_output=True,
            text=True,
            env={"HOME": home, "PATH": os.environ["PATH"]},
            timeout=240,
        )
    assert ran.returncode == 0, ran.stderr
    found = ast.literal_eval(ran.stdout)
    assert found["uid"] == 1000
    assert not found["home"]
    assert 5 <= found["forked"] < 20


def open_to_all(folder: Path):
    """Where an interpreter lies in somebody's own folder: the same place, with parents that all may pass."""
    closed = [one for one in folder.parents if one.stat().st_mode & 0o005 != 0o005]
    if not closed:
        return
    yield from ("--perms", "0755", "--tmpfs", str(closed[-1]))
    for parent in reversed(folder.parents):
        if closed[-1] in parent.parents:
            yield from ("--perms", "0755", "--dir", str(parent))
    yield from ("--ro-bind", str(folder), str(folder))


def test_a_bundle_is_checked_at_each_start(tmp_path):
    content = archive(files_of("return None"))
    with pytest.raises(InvalidInput) as refused, running(tmp_path, content + b"\0", bundle_hash="0" * 64):
        pass
    assert refused.value.code == "bundle_differs"
