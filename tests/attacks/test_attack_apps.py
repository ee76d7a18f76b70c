"""Apps that mean harm, run for real beside the data: each is stopped, told apart, and the node lives on."""

import ast
import hashlib
import io
import os
import re
import socket
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest
from support.apps import archive, files_of, message, need_sandbox, running, seen

from kapok.cli.app import run
from kapok.documents.bundle import read_bundle
from kapok.documents.inspection import inspect
from kapok.errors import InvalidInput, KapokError, TimedOut
from kapok.nodes.apps.watch import _alive, _tree


@pytest.fixture(autouse=True)
def _walls():
    need_sandbox()


CURIOUS = """
import ctypes, errno, os, resource, socket
def tried(what):
    try:
        return str(what())
    except OSError as error:
        return errno.errorcode[error.errno]
    except ValueError as error:
        return str(error)
def unix(): socket.socket(socket.AF_UNIX).connect(chr(0) + message.content["config"]["abstract"])
config = message.content["config"]
libc = ctypes.CDLL(None, use_errno=True)
def call(*words):
    if libc.syscall(*words) < 0:
        raise OSError(ctypes.get_errno(), "")
    return "done"
found = {
    "key": tried(lambda: open(config["key"]).read()),
    "shadow": tried(lambda: open("/etc/shadow").read()),
    "passwd": tried(lambda: open("/etc/passwd").read()),
    "other": tried(lambda: os.listdir(config["other"])),
    "home": tried(lambda: os.listdir(os.path.dirname(config["key"]))),
    "tcp": tried(lambda: socket.create_connection(("127.0.0.1", config["port"]))),
    "udp": tried(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)),
    "vsock": tried(lambda: socket.socket(40, socket.SOCK_STREAM)),
    "abstract": tried(unix),
    "app": tried(lambda: open("/app/little/client.py", "a")),
    "data": tried(lambda: open("/data/partition.parquet", "ab")),
    "root": tried(lambda: open("/mine", "w")),
    "dev": tried(lambda: open("/dev/mine", "w")),
    "environment": ",".join(sorted(os.environ)),
    "node": tried(lambda: os.kill(config["node"], 0)),
    "parent": tried(lambda: os.kill(1, 9)),
    "trace": tried(lambda: call(101 if os.uname().machine == "x86_64" else 117, 16, 1, 0, 0)),
    "namespace": tried(lambda: call(272 if os.uname().machine == "x86_64" else 97, 0x10000000)),
    "rights": [line for line in open("/proc/self/status") if line.startswith("CapEff")][0].split()[1],
    "privileges": [line for line in open("/proc/self/status") if line.startswith("NoNewPrivs")][0].split()[1],
    "processes": ",".join(name for name in os.listdir("/proc") if name.isdigit()),
    "raise": tried(lambda: resource.setrlimit(resource.RLIMIT_AS, (2**40, 2**40))),
    "uid": os.getuid(),
    "killed_first": open("/proc/self/oom_score_adj").read().strip(),
    "processors": len(os.sched_getaffinity(0)),
    "more_processors": tried(lambda: os.sched_setaffinity(0, range(1024))),
}
return Message(answer(**found), reply_to=message)
"""


def test_an_app_looks_for_keys_other_jobs_networks_and_other_processes(tmp_path, monkeypatch):
    monkeypatch.setenv("KAPOK_PASSPHRASE", "of the node's key")
    home = tmp_path / "home"
    home.mkdir()
    key = home / "node.key"
    key.write_text("the node's private key")
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.socket(socket.AF_UNIX) as abstract,
        running(tmp_path, files_of(CURIOUS), hidden=(home,)) as app,
    ):
        abstract.bind(f"\0kapok-{os.getpid()}")
        abstract.listen()
        port = listening.getsockname()[1]
        found = seen(
            app.call(
                message(
                    key=str(key),
                    other=str(tmp_path / "apps" / "jobs"),
                    port=port,
                    node=os.getpid(),
                    abstract=f"kapok-{os.getpid()}",
                )
            )
        )
    missing = ("key", "shadow", "passwd", "other", "home")
    assert {name: found[name] for name in missing} == dict.fromkeys(missing, "ENOENT")
    closed = ("tcp", "udp", "vsock")
    assert {name: found[name] for name in closed} == dict.fromkeys(closed, "EACCES")
    assert found["abstract"] == "ECONNREFUSED"
    unwritable = ("app", "data", "root", "dev")
    assert {found[name] for name in unwritable} <= {"EROFS", "EACCES"}
    assert found["node"] == "ESRCH"
    assert (found["trace"], found["namespace"]) == ("EPERM", "EPERM")
    assert int(found["rights"], 16) == 0
    assert found["privileges"] == "1"
    assert found["uid"] != 0
    assert found["killed_first"] == "1000"
    assert (found["processors"], found["more_processors"]) == (1, "EPERM")
    assert len(found["processes"].split(",")) <= 3
    assert "not allowed to raise" in found["raise"]
    assert "KAPOK_PASSPHRASE" not in found["environment"].split(",")


STOPPED = {
    "reads_a_key_and_dies_of_it": ("open('/etc/shadow')", "app_crashed", {}),
    "connects": ("import socket; socket.create_connection(('192.0.2.1', 80))", "app_denied", {}),
    "takes_all_memory": ("held = bytearray(8 * 2**30)", "app_out_of_memory", {}),
    "prints_rows_as_its_error": ("raise RuntimeError('row 1: age 63, chol 233')", "app_crashed", {}),
}


def test_what_an_app_raises_is_told_apart_and_never_quoted(tmp_path):
    choices = "".join(f"if do == {name!r}: {line}\n" for name, (line, _, _) in STOPPED.items())
    train = f"do = message.content['config']['do']\n{choices}return Message(answer(), reply_to=message)"
    with running(tmp_path, files_of(train)) as app:
        for name, (_, code, _) in STOPPED.items():
            with pytest.raises(InvalidInput) as refused:
                app.call(message(do=name))
            assert refused.value.code == code, name
            told = refused.value.diagnostics()
            assert not any(word in told for word in ("shadow", "192.0.2.1", "row 1", "63")), told
        assert app.call(message(do="nothing"))
    printed = (tmp_path / "apps" / "output" / f"{'ab' * 32}.txt").read_text()
    assert "row 1: age 63" in printed
    assert "for the holder alone" in printed.splitlines()[0]


def stopped(tmp_path: Path, train: str, **limits: object) -> KapokError:
    """The error of an app whose process does not survive it; nothing of its tree is left."""
    with running(tmp_path, files_of(train), **limits) as app:
        tree = list(_tree(app._watch._process.pid))
        began = threading.active_count()
        with pytest.raises(KapokError) as refused:
            app.call(message())
        assert threading.active_count() < began
        assert not any(_alive(pid) for pid in tree)
        with pytest.raises(KapokError) as closed:
            app.call(message())
        assert closed.value.code == "app_closed"
    return refused.value


def test_an_app_that_forks_without_end_and_leaves_the_processes_behind(tmp_path):
    train = """
import os, time
born = 0
try:
    while True:
        if os.fork() == 0:
            os.setsid()
            time.sleep(1000)
        born += 1
except BlockingIOError:
    os.write(1, b"children: %d" % born)
    if message.content["config"]["raise"]:
        raise
return Message(answer(), reply_to=message)
"""
    with running(tmp_path, files_of(train), processes=40) as app:
        app.call(message(**{"raise": False}))
        with pytest.raises(InvalidInput) as refused:
            app.call(message(**{"raise": True}))
        assert refused.value.code == "app_too_many_processes"
        tree = list(_tree(app._watch._process.pid))
        assert 20 < len(tree) <= 45
    assert not any(_alive(pid) for pid in tree)


@pytest.mark.parametrize(
    ("train", "code", "limits"),
    [
        pytest.param("while True: pass", "app_timed_out", {"call_timeout_s": 2}, id="never_returns"),
        pytest.param(
            "while True: print('row after row ' * 1000)", "app_wrote_too_much", {"output_mib": 1}, id="prints"
        ),
    ],
)
def test_an_app_that_is_stopped(tmp_path, train, code, limits):
    error = stopped(tmp_path, train, **limits)
    assert error.code == code
    assert isinstance(error, TimedOut) == (code == "app_timed_out")


def test_an_app_that_fills_its_disk_with_bytes_and_with_files(tmp_path):
    train = """
import os
if message.content["config"]["how"] == "bytes":
    for number in range(1000):
        with open(f"/tmp/{number}", "wb") as file:
            file.write(bytes(2**20))
os.system("rm -f /tmp/*")
if message.content["config"]["how"] == "one":
    with open("/dev/shm/one", "wb") as file:
        file.write(bytes(2**21))
while True:
    os.close(os.open(f"/tmp/{os.urandom(8).hex()}", os.O_CREAT))
"""
    with running(tmp_path, files_of(train), scratch_mib=8, call_timeout_s=60) as app:
        for how in ("bytes", "one", "files"):
            with pytest.raises(InvalidInput) as refused:
                app.call(message(how=how))
            assert refused.value.code == "app_wrote_too_much"


def test_an_app_whose_processes_take_the_memory_together(tmp_path):
    train = """
import os, time
for number in range(8):
    if os.fork() == 0:
        held = bytearray(os.urandom(2**20) * 100)
        time.sleep(1000)
time.sleep(1000)
"""
    error = stopped(tmp_path, train, memory_mib=512, call_timeout_s=60)
    assert error.code == "app_out_of_memory"


def test_an_app_that_replies_with_too_much_or_with_another_frame(tmp_path):
    train = """
import os
if message.content["config"]["how"] == "large":
    return Message(RecordDict({"seen": ConfigRecord({"rows": bytes(3 * 2**20)})}), reply_to=message)
replies = max(int(name) for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}"))
for number in range(3, 64):
    try:
        os.write(number, bytes([6]) + (2**60).to_bytes(8, "big"))
    except OSError:
        pass
os._exit(0)
"""
    for how in ("large", "frame"):
        with running(tmp_path, files_of(train), reply_mib=2) as app:
            with pytest.raises(InvalidInput) as refused:
                app.call(message(how=how))
            assert refused.value.code == "app_wrote_too_much", how


def test_an_app_that_answers_byte_by_byte_is_held_to_its_time(tmp_path):
    train = """
import os, time
header, begun = bytes([6]) + (2**20).to_bytes(8, "big"), None
while True:
    for number in range(3, 16):
        try:
            os.write(number, header if begun is None else b"x")
        except OSError:
            pass
    begun = True
    time.sleep(0.02)
"""
    assert stopped(tmp_path, train, call_timeout_s=2).code == "app_timed_out"


def test_a_bundle_that_is_not_the_approved_one_never_starts(tmp_path):
    approved, other = archive(files_of("return None")), archive(files_of("import os"))
    digest = hashlib.sha256(approved).hexdigest()
    with pytest.raises(InvalidInput) as refused, running(tmp_path, other, bundle_hash=digest):
        pass
    assert refused.value.code == "bundle_differs"
    assert not list((tmp_path / "apps").rglob("*.py"))


def test_an_app_outlives_no_node_that_is_killed(tmp_path):
    """The node's process is killed, with no chance to tidy up; its app is busy and takes no notice."""
    script = f"""
import sys, time
sys.path[:0] = {sys.path!r}
from pathlib import Path
from support.apps import files_of, message, running
with running(Path({str(tmp_path)!r}), files_of("while True: pass")) as app:
    from kapok.nodes.apps.watch import _alive, _tree
    print(*_tree(app._watch._process.pid), flush=True)
    app.call(message())
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as node:
        tree = [int(word) for word in node.stdout.readline().split()]
        assert len(tree) >= 3
        node.kill()
    for _ in range(1200):
        if not any(_alive(pid) for pid in tree):
            break
        time.sleep(0.05)
    assert not any(_alive(pid) for pid in tree)


PROJECT = files_of("return None")["pyproject.toml"].decode()
BOMBS = {
    "a key of very many parts": {"pyproject.toml": f"{PROJECT}{'a.' * 20_000}b = 1\n"},
    "a quoted key of very many parts": {"pyproject.toml": PROJECT + '"a" . ' * 9000 + "b = 1\n"},
    "tables in tables": {"pyproject.toml": f"{PROJECT}a = {'{a = ' * 9000}1{'}' * 9000}\n"},
    "a project without end": {"pyproject.toml": PROJECT + "# and so on\n" * 10_000},
    "code that nobody reads": {f"little/more{number}.py": "a\n" * 70_000 for number in range(8)},
    "a text that is none": {"little/weights.json": b"\x80\x04\x95"},
    "a name that leads elsewhere": {"pyproject.toml": PROJECT.replace('"little"', '"../../little"')},
    "a version that a terminal obeys": {"pyproject.toml": PROJECT.replace('"1.0.0"', '"1\\u001b[2J"')},
}


@pytest.mark.parametrize("what", BOMBS)
def test_a_bundle_that_whoever_looks_into_it_would_regret(tmp_path, monkeypatch, capsys, what):
    """Small archives that take minutes, gigabytes or a traceback; a folder of such files is refused, too."""
    files = {
        path: text.encode() if isinstance(text, str) else text
        for path, text in (files_of("return None") | BOMBS[what]).items()
    }
    with pytest.raises(InvalidInput) as caught:
        read_bundle(archive(files))
    assert caught.value.code == "bad_bundle"
    for path, text in files.items():
        file = tmp_path / "app" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text)
    monkeypatch.chdir(tmp_path)
    assert run(["fl", "build", "app"]) == 3
    assert "[bad_bundle]" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["app"]


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_bundle_that_is_packed_so_that_its_size_is_known_too_late(method):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as made:
        made.writestr(zipfile.ZipInfo("little/more.json"), bytes(2**20), method)
    with pytest.raises(InvalidInput, match="packed in another way") as caught:
        read_bundle(stream.getvalue())
    assert caught.value.code == "bad_bundle"


def test_a_module_that_is_taken_for_a_library_is_shown_first():
    """`numpy.py` beside the app's package is what its code gets that says numpy."""
    found = inspect(read_bundle(archive(files_of("import numpy") | {"numpy.py": b"stolen = []\n"})))
    assert [(one.path, one.what) for one in found.notable] == [("numpy.py", "module numpy")]
    assert not inspect(read_bundle(archive(files_of("import numpy")))).notable


def test_what_an_app_prints_is_nothing_that_a_terminal_obeys(tmp_path):
    printed = r"print('\x1b]52;c;Y3VybA==\x07\x1b[2J\rsix\tseven')"
    with running(tmp_path, files_of(f"{printed}\nreturn Message(answer(), reply_to=message)")) as app:
        app.call(message())
    [line] = (tmp_path / "apps" / "output" / f"{'ab' * 32}.txt").read_text().splitlines()[1:]
    assert line == "?]52;c;Y3VybA==??[2J?six\tseven"


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        (b"# coding: unicode_escape\n# looks at nothing \\u000aimport os\n", "UTF-8"),
        (b"# coding: utf-7\n# looks at nothing +AAo-import os\n", "UTF-8"),
        ("low = 0  # and then\u2028update = clipped(update)\n".encode(), "U+2028"),
        (b"low = 0  # and then\x0cupdate = clipped(update)\n", "U+000C"),
        ("if role != 'admin\u202e \u2066# only for admins\u2069 \u2066':\n    pass\n".encode(), "U+202E"),
    ],
)
def test_code_that_is_not_what_a_person_reads(code, shown):
    """What stands in a comment for whoever decides is code for Python, or the other way about."""
    if shown == "UTF-8":
        assert any(isinstance(node, ast.Import) for node in ast.walk(ast.parse(code)))
        assert all(line.startswith("#") for line in code.decode().splitlines())
    with pytest.raises(InvalidInput, match=re.escape(shown)) as caught:
        read_bundle(archive(files_of("return None") | {"little/more.py": code}))
    assert caught.value.code == "bad_bundle"
