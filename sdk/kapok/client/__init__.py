"""The analyst's side: ask a question of data that never leaves its holders, and open the pooled answer.

    import kapok.client as kapok

    with kapok.connect() as session:
        session.query("SELECT sex, AVG(age) FROM heart GROUP BY sex").to_pandas()

Importing it loads nothing heavy: what a call needs is imported when it is called (`imports`).

    session, blocking      every verb, for those who write `await` and for those who do not
    profile, vault         the analyst's folder; its secrets at rest
    enrolment              how a party of any role comes by that folder
    catalogue, memberships, known    datasets and who has joined them, verified; who was seen before
    workspace, submission  from a request to a signed specification, to a record on disk, to the broker
    analyses, models       how models, curves, tests and matrices are asked for
    explaining             what holders would say
    waiting, turns         until a job ends; the analyst's turn between its rounds
    progress, connection   what is told meanwhile; what is tried again
    jobs, fetching, opening    a job's record; its sealed sum; what is checked before anything is believed
    result, plotting       the answer, and its bars
    training, exchanges, history    a server app over the nodes; what is kept of it; its metrics
    officer, cohorts       an officer's session: which cohorts there are, and how one is reopened
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kapok.client.blocking import Session, connect
    from kapok.client.progress import Progress
    from kapok.client.result import Result
    from kapok.client.session import AsyncSession, connect_async

__all__ = ["AsyncSession", "Progress", "Result", "Session", "connect", "connect_async"]

_HOMES = {
    "AsyncSession": "session",
    "Progress": "progress",
    "Result": "result",
    "Session": "blocking",
    "connect": "blocking",
    "connect_async": "session",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return __all__
