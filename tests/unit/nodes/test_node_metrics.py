"""Metrics of daemons that run, scraped over HTTP; and what they say of certificates that end."""

import asyncio
import logging
import time
import urllib.request
from functools import partial

import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.daemons import Daemon

from kapok.errors import InvalidInput
from kapok.identity.expiry import expires
from kapok.nodes.app import run
from kapok.nodes.officers import pause
from kapok.wire.messages import JobState


def scraped(caplog):
    """The pages of the daemons that tell metrics, in the order of starting: samples by name and labels."""
    pages = []
    for record in caplog.records:
        if record.getMessage() == "metrics":
            with urllib.request.urlopen(f"http://{record.host}:{record.port}/metrics") as answer:
                text = answer.read().decode()
            families = list(text_string_to_metric_families(text))
            pages.append({(one.name, *one.labels.values()): one.value for f in families for one in f.samples})
    return pages


async def test_metrics_tell_what_was_done_and_nothing_of_the_data(network, make_job, caplog):
    caplog.set_level(logging.INFO)
    async with network() as net:
        await net.broker.stop()
        (net.broker.home / "broker.toml").write_text(
            f'listen = "{net.broker.address}"\nmetrics = "127.0.0.1:0"\n'
        )
        await net.broker.start()
        # One hospital has fewer rows than its policy needs: it suppresses everything.
        for letter, rows in (("a", 30), ("b", 3), ("c", 40)):
            node = net.furnish(letter, rows)
            settings = (node.home / "node.toml").read_text()
            (node.home / "node.toml").write_text(f'metrics = "127.0.0.1:0"\n{settings}')
            await node.start()
        await net.ended(await net.submit(make_job))
        refused = await net.ended(await net.submit(make_job, "SELECT MAX(age) FROM clinic"))
        assert refused.state is JobState.FAILED
        broker, *nodes = await asyncio.to_thread(scraped, caplog)
        assert broker["kapok_broker_connected_nodes",] == 3
        assert broker["kapok_broker_serving",] == 1
        assert broker["kapok_broker_open_jobs",] == 0
        assert broker["kapok_broker_jobs_total", "gathering"] == 2
        assert broker["kapok_broker_jobs_total", "summed"] == broker["kapok_broker_rounds_total",] == 1
        assert broker["kapok_broker_jobs_total", "failed"] == 1
        assert broker["kapok_broker_job_duration_seconds_count", "failed"] == 1
        assert broker["kapok_broker_job_state_duration_seconds_count", "sealing"] == 1
        assert broker["kapok_broker_uploads_total",] == 3
        assert 0 < broker["kapok_broker_upload_bytes_total",] < broker["kapok_broker_received_bytes_total",]
        assert broker["kapok_certificate_expiry_timestamp_seconds",] > time.time()
        for page in nodes:
            assert page["kapok_node_questions_total", "", "consented"] == 1
            assert page["kapok_node_questions_total", refused.error.code, "refused"] == 1
            assert page["kapok_node_seal_duration_seconds_count",] == page["kapok_node_releases_total",] == 1
            assert page["kapok_node_broker_connected",] == 1
            assert time.time() - 60 < page["kapok_node_broker_last_contact_timestamp_seconds",] <= time.time()
        counts = [
            {key: value for key, value in page.items() if "seconds" not in key[0] and "created" not in key[0]}
            for page in nodes
        ]
        assert counts[0] == counts[1] == counts[2]
        await asyncio.to_thread(pause, net.nodes["a"].home, "audit")
        async with asyncio.timeout(10):
            while not (await asyncio.to_thread(scraped, caplog))[1]["kapok_node_paused",]:
                await asyncio.sleep(0.05)
        for node in net.nodes.values():
            await node.stop()
    with pytest.raises(OSError, match="refused"):
        await asyncio.to_thread(scraped, caplog)


async def test_metrics_at_a_port_in_use_or_at_no_address_are_refused(network):
    async with network() as net:
        node = net.furnish("a")
        settings = (node.home / "node.toml").read_text()
        for address, code in ((net.broker.address, "port_in_use"), ("everywhere", "bad_settings")):
            (node.home / "node.toml").write_text(f'metrics = "{address}"\n{settings}')
            with pytest.raises(InvalidInput) as caught:
                await node.start()
            assert caught.value.code == code


async def test_a_certificate_that_ends_soon_is_said_at_the_start(network, caplog):
    async with network() as net:
        node = net.furnish("a")
        await node.start()
        await node.stop()
        assert not [one for one in caplog.records if "ends in" in one.getMessage()]
        ends = expires(net.credentials("a"))
        soon = Daemon(partial(run, clock=lambda: ends - 5.5 * 86_400), node.home)
        await soon.start()
        await soon.stop()
        (warned,) = [one for one in caplog.records if "ends in" in one.getMessage()]
        assert "ends in 5 days" in warned.getMessage()
        assert "kapok enroll" in warned.remedy
