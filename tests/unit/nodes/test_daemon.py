"""The daemon as it runs: real gRPC on loopback, a real broker, nodes that stop, start and wait."""

import asyncio
import io
import json
import logging
import sys
import threading
import time
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pytest
from support.daemons import furnish

from kapok.cli.app import run as command
from kapok.computations import registry
from kapok.computations.query.entry import COMPUTATION as QUERY
from kapok.errors import IdentityInvalid, InvalidInput, NotFound
from kapok.identity.issuing import revocation_list
from kapok.identity.names import Role
from kapok.logs.lasting import Lasting
from kapok.nodes import approvals, link
from kapok.nodes.app import check, run
from kapok.nodes.link import _THREADS
from kapok.wire.backoff import Backoff


async def test_nodes_answer_stop_start_and_wait_for_their_broker(network, make_job):
    async with network() as net:
        for letter in "abc":
            await net.furnish(letter).start()
        job = await net.submit(make_job)
        assert await net.answer(job) == ((90,),)
        # A node that was away when it was asked answers when it is back.
        await net.nodes["b"].stop()
        keys = await net.joined(2)
        assert len(keys) == 2
        waiting = asyncio.create_task(net.submit(make_job, "SELECT SUM(age) FROM clinic"))
        await net.nodes["b"].start()
        assert await net.answer(await waiting) == ((3600,),)
        # A broker that comes back finds its nodes coming back.
        await net.broker.stop()
        address = net.broker.address
        (net.broker.home / "broker.toml").write_text(f'listen = "{address}"\n')
        await net.broker.start()
        assert await net.answer(await net.submit(make_job)) == ((90,),)
        for node in net.nodes.values():
            await node.stop()


async def test_a_node_leaves_a_broker_that_is_revoked_and_does_not_come_back_to_it(
    network, caplog, monkeypatch
):
    """The list comes by that very broker, which shares a store with others; the node keeps it."""
    monkeypatch.setattr(link, "Lasting", partial(Lasting, again_s=0.0))  # each try is told
    async with network() as net:
        await net.furnish("a").start()
        await net.joined(1)
        realm, now = net.realm, time.time()
        revoked = realm.credentials("exchange", Role.BROKER, "main", hosts=(net.host,)).certificate
        serials = {revoked.serial_number: now}
        der = revocation_list(realm._key, realm._root, serials, number=1, now=now, days=30)
        await net.line.catalogue.publish_revocations(der)

        def left():
            lines = [one for one in caplog.records if "no connection" in one.getMessage()]
            return [one.code for one in lines].count("certificate_revoked") > 1

        async with asyncio.timeout(60):
            while not left():
                await asyncio.sleep(0.05)
        assert (await net.members()) == {}
        assert (net.nodes["a"].home / "state" / "revoked.crl").read_bytes() == der
        await net.nodes["a"].stop()
        with pytest.raises(IdentityInvalid) as caught:
            await net.nodes["a"].start()
        assert caught.value.code == "certificate_revoked"


async def test_a_node_takes_its_name_back_from_a_second_process_that_joined_under_it(
    network, make_job, caplog
):
    async with network() as net:
        for letter in "abc":
            await net.furnish(letter).start()
        right = await net.joined(3)
        real, folder = net.nodes["a"], net.folder
        net.folder = folder / "second"
        second = net.furnish("a")
        net.folder, net.nodes["a"] = folder, real
        await second.start()
        assert await net.joined(3) != right
        await second.stop()
        await net.joined(3)
        refused = await net.ended(await net.submit(make_job))
        assert refused.error.code == "bad_tag_seed"
        assert await net.joined(3) == right
        (warned,) = [one for one in caplog.records if "another process has joined" in one.getMessage()]
        assert warned.levelno == logging.WARNING
        assert await net.answer(await net.submit(make_job)) == ((90,),)
        for node in net.nodes.values():
            await node.stop()


async def test_other_questions_are_answered_while_more_apps_train_than_a_node_has_threads(
    network, make_job, monkeypatch
):
    going, done = [], threading.Event()

    def train(*asked):
        going.append(1)
        assert done.wait(600)
        return QUERY.contribute(*asked)

    slow = SimpleNamespace(COMPUTATION=replace(QUERY, name="slow", over="app", contribute=train))
    monkeypatch.setitem(sys.modules, "slow_computation", slow)
    monkeypatch.setitem(registry._MODULES, "slow", "slow_computation")
    async with network() as net:
        for letter in "abc":
            await net.furnish(letter).start()
        first = await net.submit(make_job)
        assert await net.answer(first) == ((90,),)

        def make_training(*given, **named):
            return make_job(*given, kind="slow", **named)

        trainings = [await net.submit(make_training, deadline_s=600) for _ in range(_THREADS + 1)]
        async with asyncio.timeout(300):
            while len(going) < 3 * _THREADS:
                await asyncio.sleep(0.05)
        assert await net.answer(await net.submit(make_job, "SELECT SUM(age) FROM clinic")) == ((3600,),)
        assert len(going) == 3 * _THREADS
        done.set()
        for training in trainings:
            assert await net.answer(training) == ((90,),)
        for node in net.nodes.values():
            await node.stop()


async def test_an_officer_approves_beside_the_running_node(network, make_job):
    async with network() as net:
        for letter in "abc":
            await net.furnish(letter, approval="manual" if letter == "a" else "automatic").start()
        job = await net.submit(make_job)
        home = net.nodes["a"].home
        async with asyncio.timeout(10):
            while not (found := await asyncio.to_thread(approvals.pending, home)):
                await asyncio.sleep(0.05)
        assert [one.job_id for one in found] == [job.id]
        await asyncio.to_thread(approvals.approve, home, job.id)
        assert await net.answer(job) == ((90,),)
        denied = await net.submit(make_job)
        async with asyncio.timeout(10):
            while not await asyncio.to_thread(approvals.pending, home):
                await asyncio.sleep(0.05)
        await asyncio.to_thread(approvals.deny, home, denied.id)
        status = await net.ended(denied)
        assert status.error.code == "approval_denied"
        for node in net.nodes.values():
            await node.stop()


async def test_a_table_that_breaks_the_schema_is_not_joined_and_check_says_why(network):
    async with network() as net:
        good, bad = net.furnish("a"), net.furnish("b")
        with (bad.home / "patients.csv").open("a") as file:
            file.write("999,1,no\r\n")
        before = await asyncio.to_thread(check, bad.home)
        assert not before.ok
        assert before.broker_problem is None
        assert before.datasets[0].table.rows == 31
        assert any("column age" in one and "row 31" in one for one in before.problems)
        assert "999" not in str(before.problems)
        await good.start()
        await bad.start()
        assert list(await net.joined(1)) == [str(net.credentials("a").name)]
        report = await asyncio.to_thread(check, good.home)
        assert report.ok, report.problems
        assert report.key_fingerprint == net.credentials("a").key_fingerprint.hex()
        assert "automatic" not in report.policy[0]
        assert report.datasets[0].title == "clinic"
        with pytest.raises(InvalidInput) as caught:
            await run(good.home)
        assert caught.value.code == "already_running"
        await good.stop()
        await bad.stop()


async def test_a_restored_journal_stops_the_daemon_until_an_officer_accepts_it(network):
    async with network() as net:
        node = net.furnish("a")
        await node.start()
        first = await net.joined(1)
        await node.stop()
        journal = node.home / "state" / "journal.db"
        copy = journal.read_bytes()
        await node.start()
        await node.stop()
        for beside in ("-wal", "-shm"):
            journal.with_name(journal.name + beside).unlink(missing_ok=True)
        journal.write_bytes(copy)
        with pytest.raises(InvalidInput) as caught:
            await node.start()
        assert caught.value.code == "journal_restored"
        line = caught.value.remedy.split("`")[1]
        settings = node.home / "node.toml"
        settings.write_text(f"{line}\n{settings.read_text()}")
        await node.start()
        # With a new tag key: what was asked before cannot be asked again.
        assert (await net.joined(1)).keys() == first.keys()
        assert await net.joined(1) != first
        await node.stop()


class Terminal(io.StringIO):
    def isatty(self):
        return True


async def test_officers_reopen_a_cohort_and_the_running_nodes_go_by_it(
    network, make_job, capsys, monkeypatch
):
    async def kapok(*words):
        assert await asyncio.to_thread(command, [*words, "--json"]) == 0, capsys.readouterr()
        return json.loads(capsys.readouterr().out)

    async with network() as net:
        for letter in "abcd":
            await net.furnish(letter).start()
        assert await net.answer(await net.submit(make_job, nodes="abcd")) == ((120,),)
        home = {letter: str(net.officer(letter)) for letter in "abcd"}
        show, university = ("cohort", "show", "clinic", "--home"), "spiffe://kapok.test/org/university"
        [before] = (await kapok(*show, home["a"]))["in_force"][university]
        new = ("--receiver", "university", "--members", "a,b/main,c", "--yes", "--home", home["a"])
        proposed = (await kapok("cohort", "propose", "clinic", *new))["reopening"]
        [shown] = (await kapok(*show, home["b"]))["reopenings"]
        assert (shown["id"], shown["serial"], shown["old"]) == (proposed, 1, [before])
        assert [one.rpartition("/")[2] for one in shown["missing"]] == ["b", "c", "d"]
        refuses = ["cohort", "sign", proposed[:8], "--home", home["d"]]
        assert await asyncio.to_thread(command, refuses) == 3  # no terminal
        monkeypatch.setattr("sys.stdin", Terminal("n\n"))
        assert await asyncio.to_thread(command, refuses) == 130
        assert "the contribution of d/main ALONE" in capsys.readouterr().err
        assert (await kapok(*show, home["d"]))["reopenings"] == [shown]
        for letter in "bcd":
            await kapok("cohort", "sign", proposed[:8], "--yes", "--home", home[letter])
        file, node = net.folder / "reopening.json", net.nodes["a"].home
        saved = await kapok("cohort", "save", proposed[:8], str(file), "--home", home["d"])
        assert saved["missing"] == []
        async with asyncio.timeout(20):
            while len((await kapok(*show, home["d"]))["reopenings"][0]["accepted"]) < 4:
                await asyncio.sleep(0.05)
        after = await kapok(*show, home["d"])
        assert after["in_force"][university] == [shown["new"]]
        assert after["unverified"] == []
        taken = await kapok("node", "cohort", "accept", str(file), "--home", str(node))
        assert taken == {"reopening": proposed, "new": False}
        [scope] = (await kapok("node", "cohort", "show", "--home", str(node)))["scopes"]
        assert (scope["cohorts"], scope["reopening"]) == ([shown["new"]], proposed)
        assert await net.answer(await net.submit(make_job, nodes="abc")) == ((90,),)
        assert await asyncio.to_thread(command, [*show[:3], "--home", home["a"]]) == 0
        told = capsys.readouterr().out
        assert "cohort     a/main, b/main, c/main" in told
        assert f"reopening  {proposed[:12]} (serial 1) for university" in told
        for one in net.nodes.values():
            await one.stop()


@pytest.mark.parametrize("file", ["tag.key", "version.key"])
async def test_a_key_that_was_deleted_after_joining_is_replaced_with_a_warning(network, caplog, file):
    async with network() as net:
        node = net.furnish("a")
        for deleted in (False, True):
            if deleted:
                (node.home / "state" / file).unlink()
            caplog.clear()
            await node.start()
            await net.joined(1)
            await node.stop()
            warned = [one.file for one in caplog.records if "a new one is made" in one.getMessage()]
            assert warned == ([str(node.home / "state" / file)] if deleted else [])


async def test_check_names_what_is_missing_without_a_broker(network):
    async with network() as net:
        node = net.furnish("a")
        (node.home / "node.toml").write_text(
            (node.home / "node.toml").read_text().replace(net.hash, "0" * 64)
        )
        report = await asyncio.to_thread(check, node.home)
        assert "the broker does not know it" in report.problems[0]
        report = await asyncio.to_thread(lambda: check(node.home, dial=False))
        assert "not here" in report.problems[0]
        # The mirror lies where a backup of the folder takes it along, unless it is put elsewhere.
        assert "instance" in report.warnings[0]
        settings = (node.home / "node.toml").read_text()
        for place, warned in (("state/instance", True), ("../b-instance", False)):
            (node.home / "node.toml").write_text(f'instance = "{place}"\n{settings}')
            report = await asyncio.to_thread(lambda: check(node.home, dial=False))
            assert bool(report.warnings) is warned
        assert report.broker_problem is None
        (node.home / "node.toml").write_text('broker = "127.0.0.1:1"\n')
        report = await asyncio.to_thread(check, node.home)
        assert report.broker_problem
        assert "rule 1: key 'dataset' names 'clinic'" in report.problems[-1]


async def test_a_deleted_policy_is_named_and_a_daemon_without_one_says_that_it_refuses_everything(
    network, caplog
):
    async with network() as net:
        node = net.furnish("a")
        (node.home / "policy.toml").unlink()
        with pytest.raises(NotFound) as caught:
            await asyncio.to_thread(check, node.home)
        assert caught.value.code == "no_policy"
        await node.start()
        await node.stop()
        (said,) = [one for one in caplog.records if "no policy file" in one.getMessage()]
        assert said.file == str(node.home / "policy.toml")
        report = await asyncio.to_thread(check, node.home)
        assert report.policy == ("No rule: every question is refused.",)


async def test_another_role_or_a_foreign_root_ends_it_before_or_at_the_first_call(network, make_realm):
    async with network() as net:
        home = furnish(net.folder / "analyst", net.analyst)
        for call in (run(home), asyncio.to_thread(check, home)):
            with pytest.raises(InvalidInput) as caught:
                await call
            assert caught.value.code == "wrong_role"
        with pytest.raises(NotFound):
            await run(net.folder / "nowhere")
        foreign = make_realm(time.time())
        net.realm, kept = foreign, net.realm
        stranger = net.furnish("x")
        net.realm = kept
        with pytest.raises(IdentityInvalid):
            async with asyncio.timeout(20):
                await run(stranger.home)


def test_waits_double_up_to_their_bound_and_are_drawn_at_random():
    backoff = Backoff(1.0, 8.0)
    waits = [backoff.next_s() for _ in range(6)]
    for wait, bound in zip(waits, (1, 2, 4, 8, 8, 8), strict=True):
        assert bound / 2 <= wait <= bound
    backoff.reset()
    assert backoff.next_s() <= 1
    assert len({Backoff(1.0, 8.0).next_s() for _ in range(8)}) > 1
