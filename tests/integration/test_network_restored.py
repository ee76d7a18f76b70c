"""What operators do to disks: backups brought back, disks that fill up, services stopped in mid-job."""

import resource
import shutil
import sqlite3
from contextlib import closing, contextmanager

from kapok.demo.processes import call

COUNT = "SELECT COUNT(*) FROM heart"
BROKER_FILES = ("broker.db", "broker.db-wal")
TOO_SMALL = 4096


def rows(finished):
    assert finished.status == 0, finished.stderr
    return finished.document()["rows"]


def restart(daemon):
    daemon.start()
    daemon.wait_ready()


def releases(node):
    """Every release that a node has on record."""
    uri = f"{(node.home / 'state' / 'journal.db').as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        return connection.execute("SELECT job_id, round, attempt, names FROM release").fetchall()


@contextmanager
def full_disk(daemon):
    """The daemon can write to no file any more."""
    before = resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (TOO_SMALL, before[1]))
    try:
        yield
    finally:
        resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, before)


def test_a_broker_restored_from_yesterdays_backup(network, tmp_path, until):
    """It has forgotten jobs; no node releases twice for that, and whoever waits is told or answered."""
    broker = network.broker
    assert broker.stop() == 0
    for name in BROKER_FILES:
        if (broker.home / name).exists():
            shutil.copy(broker.home / name, tmp_path / name)
    restart(broker)
    forgotten = network.kapok("query", COUNT, "--json").document()["job"]
    network.nodes["va"].stop()
    try:
        under_way = network.kapok("query", COUNT, "--detach", "--deadline", "90").stdout.strip()
        broker.kill()
        for name in BROKER_FILES:
            (broker.home / name).unlink(missing_ok=True)
            if (tmp_path / name).exists():
                shutil.copy(tmp_path / name, broker.home / name)
        restart(broker)
    finally:
        restart(network.nodes["va"])
    assert rows(network.kapok("job", "wait", under_way, "--json")) == [[920]]
    assert rows(network.kapok("job", "wait", forgotten, "--json")) == [[920]]
    assert rows(network.kapok("query", COUNT, "--json")) == [[920]]
    for node in network.nodes.values():
        found = releases(node)
        assert len({(job, number) for job, number, _, _ in found}) == len(found)
        assert len({names for _, _, _, names in found}) == 1


def test_a_node_restored_from_yesterdays_backup_does_not_start(network, tmp_path):
    node = network.nodes["hungarian"]
    node.stop()
    shutil.copytree(node.home / "state", tmp_path / "state")
    restart(node)
    assert rows(network.kapok("query", COUNT, "--json")) == [[920]]
    node.stop()
    shutil.move(node.home / "state", tmp_path / "newest")
    shutil.copytree(tmp_path / "state", node.home / "state")
    try:
        refused = call(["node", "run"], node.home)
        assert refused.status != 0
        assert "[journal_restored]" in refused.stderr
        assert "accept_rollback = " in refused.stderr
    finally:
        shutil.rmtree(node.home / "state")
        shutil.move(tmp_path / "newest", node.home / "state")
        restart(node)
    assert rows(network.kapok("query", COUNT, "--json")) == [[920]]


def test_a_broker_whose_disk_is_full_takes_nothing_and_goes_on_when_there_is_room(network, fails):
    with full_disk(network.broker):
        fails(network.kapok("query", COUNT), 6, "store_unavailable")
    assert rows(network.kapok("query", COUNT, "--json")) == [[920]]


def test_a_node_whose_disk_is_full_answers_nothing_and_goes_on_when_there_is_room(network, until, job_state):
    node = network.nodes["cleveland"]
    before = len(releases(node))
    with full_disk(node):
        job = network.kapok("query", COUNT, "--detach", "--deadline", "90").stdout.strip()
        until(
            lambda: (
                network.kapok("job", "show", job, "--json").document()["waiting_for"] == [_name("cleveland")]
            )
        )
        assert len(releases(node)) == before
    node.kill()
    restart(node)
    assert rows(network.kapok("job", "wait", job, "--json")) == [[920]]
    assert len(releases(node)) == before + 1


def test_a_broker_that_is_stopped_in_mid_job_drains_and_goes_on(network, until, job_state):
    network.nodes["va"].stop()
    try:
        job = network.kapok("query", COUNT, "--detach", "--deadline", "90").stdout.strip()
        until(lambda: job_state(job) == "gathering")
        assert network.broker.stop() == 0
        restart(network.broker)
    finally:
        restart(network.nodes["va"])
    assert rows(network.kapok("job", "wait", job, "--json")) == [[920]]


def _name(organisation):
    return f"spiffe://demo.kapok.example/org/{organisation}/node/main"
