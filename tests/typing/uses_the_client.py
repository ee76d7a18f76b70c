"""What a user's program does with the public client: every type in it is known without a look at the code."""

from __future__ import annotations

from pathlib import Path
from typing import Any, assert_type

import pandas as pd

import kapok.client as kapok
from kapok.client import AsyncSession, Progress, Result, Session, connect_async
from kapok.client.catalogue import VerifiedDataset
from kapok.errors import ConsentWithheld, KapokError, Unavailable


def told(progress: Progress) -> None:
    """A listener."""
    assert_type(progress.text, str)
    assert_type(progress.waiting_for, tuple[str, ...])


def blocking(home: Path) -> pd.DataFrame:
    """Ask, and take the answer as a data frame."""
    with kapok.connect(home) as session:
        assert_type(session, Session)
        job = session.submit(
            "SELECT COUNT(*) FROM heart", seal="pad", at_least=3, parties=["va", "ash", "elm"]
        )
        assert_type(job, str)
        result = session.wait(job, progress=told)
        assert_type(result, Result)
        for view in session.jobs():
            assert_type(view.state, str)
            assert_type(view.failure, KapokError | None)
        dataset = session.dataset("heart")
        assert_type(dataset.schema.column("age").nullable, bool)
        assert_type([member.connected for member in dataset.members], list[bool])
        assert_type(session.cancel(job), None)
    return result.to_pandas()


def read(result: Result) -> str:
    """Everything that an answer tells."""
    assert_type(result.columns, tuple[str, ...])
    assert_type(result.rows, list[tuple[Any, ...]])
    assert_type(result.suppressed, frozenset[tuple[int, str]])
    assert_type(result.seconds, float)
    assert_type(result.cost.stages, dict[str, float])
    assert_type(result.to_document(), dict[str, Any])
    assert_type([party.data_version for party in result.parties], list[str])
    table = result.to_arrow()
    return f"{table.num_rows} rows"


async def asynchronous() -> Result:
    """The same verbs with `await`."""
    async with await connect_async("net/analyst") as session:
        assert_type(session, AsyncSession)
        dataset = await session.publish("heart.toml")
        assert_type(dataset, VerifiedDataset)
        try:
            return await session.query("SELECT COUNT(*) FROM heart", deadline_s=120, progress=told)
        except ConsentWithheld as refused:
            assert_type(refused.party, str | None)
            assert_type(refused.code, str)
            raise
        except Unavailable as error:
            assert_type(error.retryable, bool)
            return await session.result("ab12")
