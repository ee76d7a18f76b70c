"""A broker whose connection stands, and which says nothing more, is left."""

import asyncio

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
