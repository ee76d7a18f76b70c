"""`kapok query`: ask, wait, show."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import click
import typer

from kapok.cli.asking import question_of
from kapok.cli.live import Live
from kapok.cli.options import Home, Json
from kapok.cli.terminal import Interrupted, note, print_json, say
from kapok.client.progress import SHOWN_DIGITS, Listener, Stopwatch

if TYPE_CHECKING:
    from kapok.client.result import Result
    from kapok.client.session import AsyncSession

__all__ = [
    "AtLeast",
    "Deadline",
    "Detach",
    "OutFile",
    "Parties",
    "QuestionArgument",
    "QuestionFile",
    "SealOption",
    "answer_with",
    "query",
    "until_interrupted",
    "wait_for",
]

_Answer = TypeVar("_Answer")
SealOption = Annotated[
    Literal["paillier", "pad"] | None,
    typer.Option(help="How masked sums travel.  [default: what analyst.toml says]", show_default=False),
]
AtLeast = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Go on with N organisations: at once without those that refuse, without the silent "
        "after the broker's consent_grace_s (30 s unless its people changed it), which the deadline must "
        "leave time for. Not once an earlier answer has fixed the nodes.  [default: all]",
        show_default=False,
    ),
]
QuestionArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[SQL]",
        help='"SELECT … FROM dataset WHERE … GROUP BY …", or - to read it from standard input.',
        show_default=False,
    ),
]
QuestionFile = Annotated[
    Path | None,
    typer.Option(
        "--file",
        "-f",
        metavar="FILE",
        help="Read the question from FILE (- is standard input).",
        show_default=False,
    ),
]
Parties = Annotated[
    list[str] | None,
    typer.Option("--party", metavar="ORGANISATION", help="Ask these only (may be repeated).  [default: all]"),
]
OutFile = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="FILE",
        help="Write the answer to FILE, which only you may read: .csv, .json, .arrow or .parquet.",
    ),
]


Deadline = Annotated[
    int | None,
    typer.Option(
        metavar="SECONDS", help="Fail after.  [default: what analyst.toml says]", show_default=False
    ),
]
Detach = Annotated[
    bool, typer.Option("--detach", help="Print the job's identity and do not wait for the answer.")
]


def query(
    sql: QuestionArgument = None,
    file: QuestionFile = None,
    seal: SealOption = None,
    at_least: AtLeast = None,
    party: Parties = None,
    deadline: Deadline = None,
    detach: Detach = False,
    out: OutFile = None,
    json: Json = False,
    home: Home = None,
) -> None:
    """Ask a question of all holders of a dataset and show the pooled answer."""
    question = question_of(sql, file)

    async def submit(session: AsyncSession, progress: Listener) -> str:
        return await session.submit(
            question,
            seal=seal,
            at_least=at_least,
            parties=party or None,
            deadline_s=deadline,
            progress=progress,
        )

    answer_with(submit, home=home, out=out, detach=detach, json=json)


def answer_with(
    submit: Callable[[AsyncSession, Listener], Awaitable[str]],
    *,
    home: Path | None,
    out: Path | None,
    detach: bool,
    json: bool,
) -> None:
    """Ask something of whatever kind, and show what comes of it.

    Args:
        submit: Puts the question, and gives its job's identity.
        home: The profile's folder.
        out: Where the answer is written to.
        detach: Whether only the job's identity is shown.
        json: Whether it is shown as JSON.
    """
    import asyncio

    from kapok.client.session import connect_async

    _check_destination(out, detach)

    async def ask(live: Live) -> Result | int:
        async with await connect_async(home) as session:
            watch = Stopwatch(live)
            job_id = await submit(session, watch)
            return session.rounds(job_id) if detach else await session.wait(job_id, progress=watch)

    live = Live(quiet=json)
    answer = until_interrupted(live, lambda: asyncio.run(ask(live)))
    if isinstance(answer, int):
        _say_submitted(live.job_id, answer, json)
    else:
        _show(answer, out, json)


def wait_for(job_id: str, *, home: Path | None, out: Path | None, json: bool, only_now: bool = False) -> None:
    """Show a job's answer, as soon as it is there, or only if it is there already."""
    import asyncio

    from kapok.cli.answers import check_out
    from kapok.client.session import connect_async

    check_out(out)

    async def take(live: Live) -> Result:
        async with await connect_async(home) as session:
            live.job_id, live.submitted = await session.whole_id(job_id), True
            if only_now:
                return await session.result(job_id)
            return await session.wait(job_id, progress=live)

    live = Live(quiet=json)
    _show(until_interrupted(live, lambda: asyncio.run(take(live))), out, json)


def _check_destination(out: Path | None, detach: bool) -> None:
    from kapok.cli.answers import check_out

    if detach and out is not None:
        raise click.UsageError(
            "--detach waits for no answer: give --out to `kapok job wait JOB` or `kapok job result JOB`"
        )
    check_out(out)


def _say_submitted(job_id: str, rounds: int, json: bool) -> None:
    """The identity of a job that is not waited for; of one with several rounds, that somebody has to."""
    if json:
        print_json({"job": job_id, "rounds": rounds})
        return
    say(job_id)
    if rounds > 1:
        note(
            f"it takes up to {rounds} rounds, and goes on from one to the next only while "
            f"`kapok job wait {job_id[:SHOWN_DIGITS]}` runs"
        )


def until_interrupted(live: Live, work: Callable[[], _Answer], resume: str = "wait") -> _Answer:
    """Run; Ctrl-C says what has become of the question, and how to go on with it.

    Args:
        live: Shows how it goes on.
        work: What is done.
        resume: The command of `kapok job` that goes on with it.

    Raises:
        Interrupted: on Ctrl-C.
    """
    with live:
        try:
            return work()
        except KeyboardInterrupt:
            raise Interrupted(_interrupted(live, resume), live.job_id) from None


def _interrupted(live: Live, resume: str) -> str:
    if not live.job_id:
        return "nothing was submitted"
    job = live.job_id[:SHOWN_DIGITS]
    if live.submitted:
        return f"the job goes on; `kapok job {resume} {job}` takes its answer later"
    return (
        f"the broker may have the job or not: `kapok job {resume} {job}` submits it if need be and takes its "
        f"answer, `kapok job cancel {job}` withdraws it"
    )


def _show(result: Result, out: Path | None, json: bool) -> None:
    from kapok.cli.answers import show_result, write_result

    if out is not None:
        write_result(result, out)
    show_result(result, json=json, written=out)
