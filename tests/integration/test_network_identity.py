"""Certificates that are revoked or renewed while everybody runs: real processes, an authority among them."""

from __future__ import annotations

import contextlib
import sqlite3
import ssl
import subprocess

from kapok.demo.processes import Daemon, Finished

COUNT = "SELECT COUNT(*) FROM heart"


def shown_certificate(address: str) -> str:
    host, _, port = address.rpartition(":")
    return ssl.get_server_certificate((host, int(port)))


def renew(network, home, role: str, organisation: str, name: str) -> None:
    """As `docs/operating.md` says: a new token, the certificate moved away, enrol into the same folder."""
    certificate = home / "identity" / "certificate.pem"
    certificate.rename(certificate.with_suffix(".old"))
    network.enrol(home, role, organisation, name, "--broker", network.broker.address)


def authority(network, *arguments: str) -> Finished:
    place = ("--broker", network.broker.address)
    finished = network.kapok("authority", *arguments, *place, home=network.authority.home)
    assert finished.status == 0, finished.stderr
    return finished


def forget_revocations(network):
    """As if the authority's register had been restored from a copy of before."""
    with contextlib.closing(sqlite3.connect(network.authority.home / "authority.db")) as register, register:
        register.execute("DELETE FROM revocations")
        register.execute("DELETE FROM revocation_lists")


def entries(daemon: Daemon, text: str) -> list[dict]:
    return [entry for entry in daemon.log_entries() if text in str(entry)]


def test_who_is_revoked_is_refused_at_once_and_nobody_takes_its_word(network, until, fails):
    visitor = network.folder / "visitor"
    network.enrol(visitor, "analyst", "university", "visitor", "--broker", network.broker.address)
    extra = Daemon("extra", ["node", "run"], network.folder / "extra")
    network.enrol(extra.home, "node", "extra", "main", "--broker", network.broker.address)
    extra.start()
    extra.wait_ready()
    try:
        assert network.kapok("dataset", "list", home=visitor).status == 0
        for party in (("analyst", "university", "visitor"), ("node", "extra", "main")):
            authority(network, "revoke", *party)
        fails(network.kapok("dataset", "list", "--json", home=visitor), 8, "certificate_revoked")
        # Its watch was open: it is told why, and told so again whenever it comes back.
        assert until(lambda: entries(extra, "certificate_revoked"))
        for node in network.nodes.values():
            assert until((node.home / "state" / "revoked.crl").exists)
            assert until(lambda node=node: entries(node, "a list of revocations has come"))
        assert network.kapok("query", COUNT, "--json").document()["rows"] == [[920]]
        forget_revocations(network)
        listed = authority(network, "revocations", "--json").document()
        assert listed["number"] == 3
        assert {one["party"].rpartition("/org/")[2] for one in listed["revoked"]} == {
            "university/analyst/visitor",
            "extra/node/main",
        }
        unknown = network.kapok(
            "authority", "revoke", "node", "nobody", "main", "--json", home=network.authority.home
        )
        fails(unknown, 5, "unknown_party")
    finally:
        extra.stop()
    # The list outlives a restart of whoever holds it.
    network.broker.kill()
    network.broker.start()
    network.broker.wait_ready()
    fails(network.kapok("dataset", "list", "--json", home=visitor), 8, "certificate_revoked")
    network.wait_until_joined()


def test_certificates_are_renewed_under_way_without_a_restart(network, until, begin):
    node = network.nodes["cleveland"]
    pids = (network.broker.pid, node.pid)
    before = shown_certificate(network.broker.address)
    asking: subprocess.Popen[str] = begin(network.analyst, "query", COUNT, "--json")
    renew(network, network.broker.home, "broker", "exchange", "main")
    renew(network, node.home, "node", "cleveland", "main")
    assert until(lambda: shown_certificate(network.broker.address) != before)
    assert until(lambda: entries(node, "new credentials"))
    said, _ = asking.communicate(timeout=60)
    assert '"rows"' in said
    network.wait_until_joined()
    assert network.kapok("query", COUNT, "--json").document()["rows"] == [[920]]
    # What cannot be used is said, and the old goes on.
    (node.home / "identity" / "certificate.pem").write_text("nonsense")
    assert until(lambda: entries(node, "new credentials cannot be used"))
    assert network.kapok("query", COUNT, "--json").document()["rows"] == [[920]]
    assert (network.broker.pid, node.pid) == pids
    (node.home / "identity" / "certificate.old").replace(node.home / "identity" / "certificate.pem")
