"""Work in the background goes on after a defect, and says so."""

import asyncio
import logging

from kapok.daemon.chores import kept_going


async def test_work_that_ends_by_a_defect_is_said_and_begins_again(caplog):
    begun, goes = [], asyncio.Event()

    async def work():
        begun.append(1)
        if len(begun) < 3:
            raise KeyError("a defect")
        goes.set()
        await asyncio.Event().wait()

    with caplog.at_level(logging.ERROR):
        async with kept_going("the look at the sky", work, again_s=0.01), asyncio.timeout(30):
            await goes.wait()
    assert len(begun) == 3
    assert [one.getMessage().partition(" ended")[0] for one in caplog.records] == ["the look at the sky"] * 2
    assert all(one.exc_info for one in caplog.records)


async def test_work_that_is_done_is_not_begun_again():
    begun = []

    async def work():
        begun.append(1)

    async with kept_going("one thing", work, again_s=0):
        for _ in range(5):
            await asyncio.sleep(0)
    assert begun == [1]


async def test_work_ends_with_what_it_is_beside_and_what_is_raised_there_goes_on():
    ended = asyncio.Event()

    async def work():
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    caught = False
    try:
        async with kept_going("waiting", work):
            await asyncio.sleep(0)
            raise ZeroDivisionError
    except ZeroDivisionError:
        caught = True
    assert caught
    assert ended.is_set()
