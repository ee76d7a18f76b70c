"""The end of a server: no call is cut off with the event loop, for gRPC would print a traceback then."""

from __future__ import annotations

import asyncio

import pytest

from kapok.wire.channel import connect
from kapok.wire.handlers import BrokerHandlers
from kapok.wire.messages import Idle
from kapok.wire.server import serve


class LateToEnd:
    """A handler of nodes whose watches end when they are let go."""

    def __init__(self) -> None:
        self.left = asyncio.Event()
        self.go = asyncio.Event()
        self.ended = False

    async def watch(self, _caller):
        try:
            yield Idle()
            await asyncio.Event().wait()
        finally:
            self.left.set()
            await self.go.wait()
            self.ended = True


@pytest.mark.parametrize("turns", range(5))
def test_a_call_that_its_caller_has_left_ends_before_the_server_has_stopped(
    broker_credentials, node_credentials, capfd, turns
):
    async def leave_and_stop():
        handler = LateToEnd()
        server = await serve(broker_credentials, "127.0.0.1:0", BrokerHandlers(None, None, handler, None))
        stop_answering = server._server.stop

        async def then_let_go(grace_s):
            """To gRPC a call has ended when its caller has gone; that is when ours begins to."""
            await stop_answering(grace_s)
            handler.go.set()

        server._server.stop = then_let_go
        async with await connect(node_credentials, server.address) as line:
            watch = line.node.watch()
            assert await anext(watch) == Idle()
            await watch.aclose()
            await handler.left.wait()
        await server.stop(5)
        for _ in range(turns):
            await asyncio.sleep(0)
        return handler.ended

    assert asyncio.run(leave_and_stop())
    assert capfd.readouterr().err == ""
