"""Copies of the broker's database, and what a broker that was restored does not make its nodes do."""

import stat
from functools import partial
from pathlib import Path

import pytest
from support.broker import settle
from support.stored import add_job

from kapok.broker.backup import backup, restore
from kapok.broker.store import Store
from kapok.daemon import alone
from kapok.errors import InvalidInput, NotFound, Unavailable
from kapok.wire.messages import JobState


@pytest.fixture
def home(world, domain):
    """The world's broker as a folder with settings."""
    folder = world.place.parent
    settle(domain.credentials("exchange", "broker", "main"), folder, more=f'store = "{world.place.name}"\n')
    return folder


def test_a_copy_is_made_while_the_broker_writes_and_can_be_opened(world, home, tmp_path):
    asked = world.publisher.ask()
    with alone(home, "broker"), world.store.transaction() as tx:
        tx.jobs.get(asked.id).bytes_received = 1
        assert backup(home, tmp_path / "copy.db") > 0
    assert stat.S_IMODE((tmp_path / "copy.db").stat().st_mode) == 0o600
    copy = Store.open(tmp_path / "copy.db")
    with copy.snapshot() as tx:
        assert tx.jobs.get(asked.id).bytes_received == 0
    copy.close()


def test_a_restored_broker_lets_nobody_release_twice(world, home, tmp_path):
    """Its nodes have released what it has forgotten; they give the same release again, and no other."""
    asked = world.publisher.ask()
    nodes = list(world.nodes.values())
    for _ in range(2):
        for node in nodes:
            node.work()
    backup(home, tmp_path / "copy.db")
    world.run()
    before = [dict(node.records) for node in nodes]
    first = world.publisher.open(asked)
    world.close()
    kept = restore(home, tmp_path / "copy.db", clock=lambda: 12.0)
    assert kept == world.place.with_name(world.place.name + ".before-12")
    assert kept.exists()
    world._open()
    world.jobs.resume()
    assert world.publisher.status(asked).state is not JobState.SUMMED
    world.run()
    assert [node.records for node in nodes] == before
    assert [len(node.released) for node in nodes] == [1] * len(nodes)
    assert world.publisher.open(asked) == first == world.truth()


def killed_while_it_writes(place, *, since):
    """A broker's file as a process leaves it that is killed: what came since the copy is beside it."""
    store = Store.open(place)
    add_job(store, since)
    beside = {suffix: Path(f"{place}{suffix}").read_bytes() for suffix in ("", "-wal")}
    store.close()
    for suffix, content in beside.items():
        Path(f"{place}{suffix}").write_bytes(content)


def jobs_in(place):
    store = Store.open(place)
    with store.snapshot() as tx:
        found = [job.id for job in map(tx.jobs.get, ("a" * 64, "b" * 64)) if job is not None]
    store.close()
    return found


@pytest.fixture
def copied(world, home, tmp_path):
    """A copy with one job, of a broker that was killed when it had two."""
    world.close()
    killed_while_it_writes(world.place, since="a" * 64)
    backup(home, tmp_path / "copy.db")
    killed_while_it_writes(world.place, since="b" * 64)
    yield tmp_path / "copy.db"
    world._open()


def test_what_lay_beside_a_file_that_is_gone_is_not_taken_for_the_copys(world, home, copied):
    world.place.unlink()
    assert restore(home, copied, clock=lambda: 12.0) is None
    assert jobs_in(world.place) == ["a" * 64]


@pytest.mark.parametrize("dies", ["killed", "refused"])
def test_a_restore_that_ends_between_two_renames_loses_nothing(world, home, copied, monkeypatch, dies):
    """In one, and not in two: the old file, or the old file under its new name, is whole at any time."""
    kept = world.place.with_name(world.place.name + ".before-12")

    def refuse(new, _place):
        assert jobs_in(kept) == ["a" * 64, "b" * 64]
        if dies == "killed":
            raise KeyboardInterrupt
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises((KeyboardInterrupt, Unavailable)):
        restore(home, copied, clock=lambda: 12.0)
    assert jobs_in(kept if dies == "killed" else world.place) == ["a" * 64, "b" * 64]
    assert world.place.exists() is (dies == "refused")
    if dies == "killed":
        monkeypatch.undo()
        another = partial(backup, home, copied.with_name("another.db"))
        for start in (partial(Store.open, world.place), partial(Store.examine, world.place), another):
            with pytest.raises(InvalidInput) as unfinished:
                start()
            assert unfinished.value.code == "restore_unfinished"
        assert not world.place.exists(), "no empty database takes its place"
        restore(home, copied, clock=lambda: 13.0)
        assert jobs_in(world.place) == ["a" * 64]


def test_a_restore_that_ends_before_the_last_rename_loses_nothing(world, home, copied, monkeypatch):
    rename = Path.rename

    def end(path, target):
        if path == world.place:
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", end)
    with pytest.raises(KeyboardInterrupt):
        restore(home, copied)
    assert jobs_in(world.place) == ["a" * 64, "b" * 64]


def test_what_a_restore_has_left_is_not_restored_over_itself(world, home, copied):
    """It is the last copy there is, maybe; under another name it is looked at like any other."""
    left = world.place.with_name(world.place.name + ".restored")
    copied.rename(left)
    with pytest.raises(InvalidInput) as refused:
        restore(home, left)
    assert refused.value.code == "unfinished_copy"
    restore(home, left.rename(copied))
    assert jobs_in(world.place) == ["a" * 64]


def test_a_journal_beside_a_file_that_is_gone_is_not_taken_for_the_copys_either(world, home, copied):
    journal = Path(f"{world.place}-journal")
    journal.write_bytes(b"pages of before")
    world.place.unlink()
    restore(home, copied, clock=lambda: 12.0)
    assert not journal.exists()
    assert Path(f"{world.place}.before-12-journal").read_bytes() == b"pages of before"
    assert jobs_in(world.place) == ["a" * 64]


def test_a_restore_that_fails_leaves_no_half_of_a_copy(world, home, copied, monkeypatch):
    def full(source, target):
        target.write_bytes(bytes(1 << 20))
        raise Unavailable("no room", code="backup_failed")

    monkeypatch.setattr("kapok.broker.backup._copy", full)
    with pytest.raises(Unavailable):
        restore(home, copied)
    assert not world.place.with_name(world.place.name + ".restored").exists()


def test_what_cannot_be_copied_or_brought_back_is_said_and_changes_nothing(world, home, tmp_path):
    copy = tmp_path / "copy.db"
    backup(home, copy)
    with pytest.raises(InvalidInput) as again:
        backup(home, copy)
    assert again.value.code == "file_exists"
    with pytest.raises(Unavailable) as nowhere:
        backup(home, tmp_path / "none" / "copy.db")
    assert nowhere.value.code == "backup_failed"
    with pytest.raises(NotFound) as absent:
        restore(home, tmp_path / "none.db")
    assert absent.value.code == "no_backup"
    (tmp_path / "text.db").write_bytes(b"no database at all, but a text" * 1000)
    with pytest.raises(InvalidInput) as text:
        restore(home, tmp_path / "text.db")
    assert text.value.code == "bad_database"
    with alone(home, "broker"), pytest.raises(InvalidInput) as running:
        restore(home, copy)
    assert running.value.code == "already_running"
    whole = copy.read_bytes()
    copy.write_bytes(whole[: len(whole) // 2])
    with pytest.raises((InvalidInput, Unavailable)):
        restore(home, copy)
    assert world.publisher.ask().id
    world.place.rename(tmp_path / "elsewhere.db")
    with pytest.raises(NotFound) as none:
        backup(home, tmp_path / "other.db")
    assert none.value.code == "no_database"
    assert not (tmp_path / "other.db").exists()


def test_of_postgresql_its_own_tools_are_named(tmp_path, domain):
    home = settle(
        domain.credentials("exchange", "broker", "main"),
        tmp_path / "home",
        more='store = "postgresql://kapok@127.0.0.1/kapok"\n',
    )
    with pytest.raises(InvalidInput) as caught:
        backup(home, tmp_path / "copy.db")
    assert caught.value.code == "use_pg_dump"
    assert "pg_dump" in caught.value.remedy
