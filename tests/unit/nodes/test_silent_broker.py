"""A broker whose connection stands, and which says nothing more, or takes nothing, is left."""

import asyncio

from kapok.broker.handlers import BrokerNodeHandler
from kapok.errors import Unavailable
from kapok.nodes import link


async def test_a_node_dials_anew_where_its_broker_says_nothing(network, make_job, monkeypatch, caplog):
    """Brokers say something each 15 s: so one that is given half a second is silent."""
    async with network() as net:
        for letter in "abc":
            await net.furnish(letter).start()

        def left():
            return [one for one in caplog.records if getattr(one, "code", "") == "broker_silent"]

        with monkeypatch.context() as soon:
            soon.setattr(link, "_SILENCE_S", 0.5)
            await net.nodes["b"].stop()
            await net.nodes["b"].start()
            async with asyncio.timeout(60):
                while not left():
                    await asyncio.sleep(0.05)
        assert {one.getMessage() for one in left()} == {"no connection to the broker"}
        assert await net.answer(await net.submit(make_job)) == ((90,),)
        for node in net.nodes.values():
            await node.stop()


async def test_a_node_whose_answer_is_not_taken_dials_anew_and_is_asked_again(
    network, make_job, monkeypatch, caplog
):
    """Over the connection that stands it would be asked again after a minute."""
    monkeypatch.setattr(link, "_TRIES", 2)
    consent, tries = BrokerNodeHandler.consent, []

    async def not_at_first(self, caller, job_id, token):
        tries.append(str(caller))
        if tries.count(str(caller)) <= link._TRIES:
            raise Unavailable("the store is away", code="store_unavailable")
        await consent(self, caller, job_id, token)

    monkeypatch.setattr(BrokerNodeHandler, "consent", not_at_first)
    async with network() as net:
        for letter in "abc":
            await net.furnish(letter).start()
        async with asyncio.timeout(50):
            assert await net.answer(await net.submit(make_job, deadline_s=50)) == ((90,),)
        assert {tries.count(name) for name in tries} == {link._TRIES + 1}
        said = [one for one in caplog.records if one.getMessage().startswith("given up")]
        assert len(said) == 3
        for node in net.nodes.values():
            await node.stop()
