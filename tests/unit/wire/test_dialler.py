"""Which of several brokers is dialled."""

import pytest
from support.proxy import proxied

from kapok.errors import InvalidInput, TimedOut, Unavailable
from kapok.wire.address import addresses
from kapok.wire.dialler import Dialler


class Known(Dialler):
    """Reaches some addresses and no others."""

    def __init__(self, *up):
        self.up, self.dialled = set(up), []

    async def connect(self, credentials, address):
        self.dialled.append(address)
        if address not in self.up:
            raise Unavailable(f"nobody answers at {address}", code="nobody_answers")
        return address


async def test_the_first_that_answers_is_taken_in_the_order_of_the_settings():
    dialler = Known("b:1", "c:1")
    assert await dialler.connect_any(None, ("a:1", "b:1", "c:1")) == "b:1"
    assert dialler.dialled == ["a:1", "b:1"]


@pytest.mark.parametrize(
    ("after", "found"), [("a:1", "b:1"), ("c:1", "a:1"), ("elsewhere:1", "a:1"), (None, "a:1")]
)
async def test_the_one_behind_the_last_is_dialled_next(after, found):
    assert await Known("a:1", "b:1", "c:1").connect_any(None, ("a:1", "b:1", "c:1"), after=after) == found


async def test_when_none_answers_the_first_error_is_told():
    with pytest.raises(Unavailable, match="b:1"):
        await Known().connect_any(None, ("a:1", "b:1"), after="a:1")


async def test_a_handshake_that_takes_longer_than_one_is_waited_for_comes_about(
    broker, analyst_credentials, monkeypatch
):
    """Each that is given up lets the next take twice as long, and the wait is short again afterwards."""
    monkeypatch.setattr("kapok.wire.dialler._FIRST_PATIENCE_S", 0.2)
    dialler, given_up = Dialler(), []
    async with proxied(broker.address) as proxy:
        proxy.lag_s = 0.2  # four ways: 0.8 s
        while True:
            try:
                line = await dialler.connect(analyst_credentials, proxy.address)
                break
            except TimedOut as error:
                given_up.append((error.code, error.retryable))
        await line.close()
        assert 2 <= len(given_up) < 10
        assert {*given_up} == {("handshake_timed_out", True)}
        with pytest.raises(TimedOut):
            await dialler.connect(analyst_credentials, proxy.address)


@pytest.mark.parametrize("written", [(), ("a:1", "a:1"), ("a:0",), "nonsense", ("a:1", "")])
def test_what_cannot_be_dialled_is_refused(written):
    with pytest.raises(InvalidInput) as caught:
        addresses(written)
    assert caught.value.code == "bad_address"


def test_one_address_or_several():
    assert addresses("a:1") == ("a:1",)
    assert addresses(("a:1", "b:1")) == ("a:1", "b:1")
