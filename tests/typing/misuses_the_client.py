"""Mistakes with the public client that a type checker finds before anybody is asked; each line says which."""

from __future__ import annotations

from kapok.client import Result, connect, connect_async

session = connect("net/analyst")
session.query("SELECT 1", seal="wax")  # rejected: arg-type
session.query("SELECT 1", at_least="3")  # rejected: arg-type
session.query("SELECT 1", parties=3)  # rejected: arg-type
session.query("SELECT 1", deadline=60)  # rejected: call-arg
session.query("SELECT 1", progress="loud")  # rejected: arg-type
session.query("SELECT 1").rows.append("row")  # rejected: arg-type
session.wait("ab12").columns = ("a",)  # rejected: misc
number: int = session.submit("SELECT 1")  # rejected: assignment
connect(3)  # rejected: arg-type


async def not_awaited() -> Result:
    """An asynchronous session whose answer nobody awaits."""
    async with await connect_async() as asynchronous:
        return asynchronous.query("SELECT 1")  # rejected: return-value
