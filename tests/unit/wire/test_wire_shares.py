"""What one party may take of a server: calls each second, and calls at once."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from kapok.errors import InternalError, Unavailable
from kapok.wire.backoff import Backoff, least_wait_s
from kapok.wire.channel import connect
from kapok.wire.limits import Limits
from kapok.wire.server import serve
from kapok.wire.shares import Shares, network_of

LIMITS = Limits(calls_per_s=2.0, calls_burst=3, calls_of_one=2)


class Clock:
    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


def call(shares: Shares, party: str, organisation: str = "") -> float | None:
    """Make a call that ends at once; say for how long it was sent away, or None."""
    try:
        with shares.place(party, organisation or party):
            shares.take(party)
            return None
    except Unavailable as error:
        return error.retry_after_s if error.party == party else None


def test_a_bucket_holds_a_burst_and_fills_at_its_rate():
    clock = Clock()
    shares = Shares(LIMITS, clock)
    assert [call(shares, "ada") for _ in range(4)] == [None, None, None, 0.5]
    assert call(shares, "bob") is None
    clock.now += 0.25
    assert call(shares, "ada") == pytest.approx(0.25)
    clock.now += 0.25
    assert [call(shares, "ada") for _ in range(2)] == [None, 0.5]
    clock.now += 3600
    assert [call(shares, "ada") for _ in range(4)] == [None, None, None, 0.5]


def test_calls_at_once_are_counted_as_long_as_they_last():
    clock = Clock()
    shares = Shares(Limits(calls_of_one=2), clock)
    with shares.place("ada", "lab"), shares.place("ada", "lab"):
        assert call(shares, "ada") == 1.0
        assert call(shares, "bob") is None
    assert call(shares, "ada") is None
    with pytest.raises(KeyError), shares.place("ada", "lab"):
        raise KeyError
    with shares.place("ada", "lab"), shares.place("ada", "lab"):
        pass
    assert not shares._at_once
    assert not shares._of_organisations


def test_an_organisation_of_many_parties_has_one_share_of_what_is_under_way():
    shares = Shares(Limits(calls_of_one=2, calls_of_organisation=3), Clock())
    with shares.place("ada", "lab"), shares.place("bob", "lab"), shares.place("cyd", "lab"):
        assert call(shares, "dan", "lab") == 1.0
        assert call(shares, "eve", "clinic") is None
    assert call(shares, "dan", "lab") is None


@pytest.mark.parametrize(
    ("peer", "network"),
    [
        ("ipv4:192.0.2.7:5555", "192.0.2.7/32"),
        ("ipv6:%5B2001:db8:1:2:3:4:5:6%5D:5555", "2001:db8:1:2::/64"),
        ("ipv6:[2001:db8:1:2::9]:1", "2001:db8:1:2::/64"),
        ("ipv6:%5Bfe80::1%25eth0%5D:1", "fe80::/64"),
        ("unix:/run/kapok.sock", "unix"),
        ("", ""),
    ],
)
def test_strangers_are_told_apart_by_the_network_that_they_call_from(peer, network):
    assert network_of(peer) == network


async def test_who_calls_too_much_is_told_when_to_come_again_and_nobody_else_is(
    broker, broker_credentials, analyst_credentials, node_credentials
):
    server = await serve(
        broker_credentials,
        "127.0.0.1:0",
        broker.handlers,
        limits=Limits(calls_per_s=0.001, calls_burst=5, calls_of_one=2),
    )
    async with (
        await connect(analyst_credentials, server.address) as analyst,
        await connect(node_credentials, server.address) as node,
    ):
        watches = [node.node.watch() for _ in range(2)]
        for watch in watches:
            await anext(watch)
        with pytest.raises(Unavailable) as caught:
            await node.node.join("m")
        assert (caught.value.code, caught.value.retry_after_s) == ("too_many_calls", 1.0)
        for _ in range(5):
            await analyst.analyst.submit("s")
        with pytest.raises(Unavailable) as caught:
            await analyst.analyst.submit("s")
        error = caught.value
        assert error.__cause__.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (error.code, error.party) == ("too_many_calls", str(analyst_credentials.name))
        assert error.retryable
        assert 900 < error.retry_after_s <= 1000
        assert "try again in: " in error.diagnostics()
        with pytest.raises(Unavailable):
            [one async for one in analyst.analyst.watch("cd" * 32)]
        assert len(broker.analysts.calls) == 5
        for watch in watches:
            await watch.aclose()
        async with asyncio.timeout(10):
            while True:
                try:
                    await node.node.join("m")
                    break
                except Unavailable:
                    await asyncio.sleep(0.02)
    await server.stop(0)


@pytest.mark.parametrize(("told", "believed"), [(2.5, 2.5), (0.0, None), (-1.0, None), (1e9, None)])
async def test_when_to_come_again_crosses_the_wire_within_reason(broker, analyst, told, believed):
    broker.analysts.raises = Unavailable("full", code="too_many_jobs", retry_after_s=told)
    with pytest.raises(Unavailable) as caught:
        await analyst.analyst.submit("s")
    assert caught.value.retry_after_s == believed


def test_who_is_told_when_to_come_again_waits_at_least_so_long():
    backoff = Backoff(0.2, 5.0, uniform=lambda low, high: low)
    full, away = Unavailable("full", retry_after_s=3.0), Unavailable("away")
    assert [least_wait_s(full), least_wait_s(away), least_wait_s(InternalError("x"))] == [3.0, None, None]
    assert [backoff.next_s(least_wait_s(one)) for one in (full, away)] == pytest.approx([3.1, 0.2])
