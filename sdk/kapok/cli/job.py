"""`kapok job`: questions that were asked earlier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kapok.cli import training
from kapok.cli.grammar import group
from kapok.cli.options import Home, JobId, Json
from kapok.cli.query import OutFile, wait_for
from kapok.cli.terminal import as_document, print_json, print_table, say, when
from kapok.client.progress import SHOWN_DIGITS, with_fewer
from kapok.errors import plain

if TYPE_CHECKING:
    from kapok.client.waiting import JobView

__all__ = ["app"]

app = group("Questions that were asked earlier.")


@app.command("list")
def list_jobs(json: Json = False, home: Home = None) -> None:
    """List this analyst's jobs, newest first."""
    import asyncio

    from kapok.client.session import connect_async

    async def ask() -> list[JobView]:
        async with await connect_async(home) as session:
            return await session.jobs()

    views = asyncio.run(ask())
    if json:
        print_json({"jobs": [_document(view) for view in views]})
    elif not views:
        say("no jobs yet")
    else:
        print_table(
            ("job", "state", "asked", "question"),
            [
                (view.job_id[:SHOWN_DIGITS], _state(view), when(view.submitted_at), plain(view.sql))
                for view in views
            ],
        )


@app.command("show")
def show(job_id: JobId, json: Json = False, home: Home = None) -> None:
    """Show where a job is: whom it waits for, who refused and why."""
    import asyncio

    from kapok.client.session import connect_async

    async def ask() -> JobView:
        async with await connect_async(home) as session:
            return await session.job(job_id)

    view = asyncio.run(ask())
    if json:
        print_json(_document(view))
        return
    _say_view(view)


@app.command("wait")
def wait(job_id: JobId, out: OutFile = None, json: Json = False, home: Home = None) -> None:
    """Wait for a job's answer and show it."""
    wait_for(job_id, home=home, out=out, json=json)


@app.command("result")
def result(job_id: JobId, out: OutFile = None, json: Json = False, home: Home = None) -> None:
    """Show a job's answer if it is there already."""
    wait_for(job_id, home=home, out=out, json=json, only_now=True)


app.command("resume")(training.resume)


@app.command("cancel")
def cancel(job_id: JobId, json: Json = False, home: Home = None) -> None:
    """Withdraw a job that has not ended."""
    import asyncio

    from kapok.client.session import connect_async

    async def ask() -> str:
        async with await connect_async(home) as session:
            whole = await session.whole_id(job_id)
            await session.cancel(whole)
            return whole

    whole = asyncio.run(ask())
    if json:
        print_json({"job": whole, "state": "cancelled"})
    else:
        say(f"job {whole[:SHOWN_DIGITS]} is cancelled")


def _document(view: JobView) -> dict[str, Any]:
    return {
        "job": view.job_id,
        "state": view.state,
        "question": view.sql,
        "submitted_at": view.submitted_at,
        "deadline": view.deadline,
        "seal": view.seal,
        "round": view.round,
        "rounds": view.rounds,
        "members": list(view.members),
        "waiting_for": list(view.waiting_for),
        "not_connected": list(view.not_connected),
        "fewer_after_s": view.fewer_after_s,
        "cohort_fixed": view.cohort_fixed,
        "refusals": [as_document(refusal) for refusal in view.refusals],
        "failure": as_document(view.failure) if view.failure else None,
    }


def _state(view: JobView) -> str:
    """Where a job is; of one of several rounds that is under way, in which."""
    ended = view.state in ("opened", "finished", "failed", "cancelled")
    return view.state if view.rounds == 1 or ended else f"{view.state} (round {view.round} of {view.rounds})"


def _say_view(view: JobView) -> None:
    say(f"job       {view.job_id}")
    say(f"state     {_state(view)}")
    say(f"question  {plain(view.sql)}")
    say(f"asked     {when(view.submitted_at)}")
    if view.deadline:
        say(f"deadline  {when(view.deadline)}")
    if view.seal:
        say(f"seal      {view.seal}")
    for member in view.members:
        turn = "  (its turn" if member in view.waiting_for else ""
        absent = ", not connected" if member in view.not_connected else ""
        say(f"member    {plain(member)}{turn and turn + absent + ')'}")
    if fewer := with_fewer(view.fewer_after_s, cohort_fixed=view.cohort_fixed):
        say(f"at least  {fewer}")
    for refusal in view.refusals:
        say("refusal   " + refusal.diagnostics())
    if view.failure and not view.refusals:
        say("failure   " + view.failure.diagnostics())
