"""`kapok node`: a holder's daemon, and the people who decide for it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from kapok.cli import node_apps
from kapok.cli.grammar import group
from kapok.cli.options import Home, JobId, Json, resolved_home
from kapok.cli.terminal import confirmed, print_json, print_table, say, when
from kapok.client.progress import SHOWN_DIGITS
from kapok.errors import InvalidInput, counted, plain

if TYPE_CHECKING:
    from kapok.nodes.approvals import Question, ShownQuestion
    from kapok.nodes.checking import CheckReport, DatasetReport
    from kapok.nodes.journal import Pause

__all__ = ["app"]

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Analyst = Annotated[
    str | None,
    typer.Option(
        "--analyst",
        metavar="PATTERN",
        help="Whose questions, e.g. org/university/analyst/*.  [default: everybody's]",
        show_default=False,
    ),
]
Since = Annotated[
    str | None,
    typer.Option("--since", metavar="DATE", help="From when on, e.g. 2026-11-25.", show_default=False),
]
PolicyTexts = Annotated[bool, typer.Option("--policy", help="Show instead which policy was in force when.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV, a line for each question.")]
Reason = Annotated[
    str, typer.Option("--reason", metavar="TEXT", help="Why, for your own people; it goes nowhere else.")
]

_MOST_EARLIER: Final = 5

app = group("A holder's node: answers beside its data, as its policy says.")


@app.command("check")
def check(json: Json = False, home: Home = None) -> None:
    """Find out what would keep this node from answering: settings, identity, policy, data, the broker."""
    from kapok.nodes.app import check as examine

    report = examine(resolved_home(home))
    if json:
        import msgspec

        print_json(msgspec.to_builtins(report) | {"ok": report.ok})
    else:
        _say_report(report)
    if report.ok:
        return
    failed = InvalidInput(
        f"this node cannot answer as it is: {counted(len(report.problems), 'problem')}",
        code="check_failed",
        remedy="mend what is named as a problem, and check again",
    )
    if json:
        # All of it is in the document: an error beside it would be a second one.
        raise typer.Exit(failed.exit_status)
    raise failed


@app.command("run")
def run(home: Home = None) -> None:
    """Join the datasets and answer, until stopped."""
    from kapok.cli.serving import serve
    from kapok.nodes.app import run as node

    serve(partial(node, resolved_home(home)))


@app.command("pending")
def pending(json: Json = False, home: Home = None) -> None:
    """List the questions that wait for a person's approval."""
    from kapok.nodes.approvals import pending as waiting
    from kapok.nodes.approvals import show

    folder = resolved_home(home)
    shown = [show(folder, question.job_id) for question in waiting(folder)]
    if json:
        print_json({"pending": [_document(one) for one in shown]})
        return
    if not shown:
        say("no question waits for approval")
    for one in shown:
        _say(one)
        digits = one.question.job_id[:SHOWN_DIGITS]
        say(f"decide with: `kapok node approve {digits}` (or deny)\n")


@app.command("approve")
def approve(
    job_id: Annotated[
        str,
        typer.Argument(
            metavar="JOB|app", help="A job's identity, or at least its first 4 digits; or the word app."
        ),
    ],
    app_hash: Annotated[
        str | None,
        typer.Argument(metavar="[HASH]", help="After the word app: the app's hash, or its first digits."),
    ] = None,
    analyst: node_apps.For = None,
    dataset: node_apps.Dataset = None,
    columns: node_apps.Columns = None,
    allow: node_apps.AllowedValues = None,
    message: node_apps.Messages = None,
    metric: node_apps.Metrics = None,
    limit: node_apps.Limits = None,
    clip_norm: node_apps.ClipNorm = None,
    without_sandbox: node_apps.Unshut = False,
    yes: Yes = False,
    json: Json = False,
    home: Home = None,
) -> None:
    """Let a pending question be answered, or an app run: shows what there is to decide by, and asks."""
    from kapok.nodes.approvals import approve as decide
    from kapok.nodes.approvals import show

    folder = resolved_home(home)
    if job_id == "app" and app_hash is not None:
        rule = node_apps.rule_of(
            folder,
            app_hash,
            analyst,
            dataset,
            columns,
            allow,
            message,
            metric,
            limit,
            clip_norm,
            without_sandbox,
        )
        node_apps.approve_app(folder, rule, yes=yes, json=json)
        return
    if not json:
        _say(show(folder, job_id))
    if not (yes or json or confirmed("approve it?")):
        say("it waits as before")
        return
    _decided(decide(folder, job_id), "approved", json=json)


@app.command("deny")
def deny(job_id: JobId, json: Json = False, home: Home = None) -> None:
    """Refuse a pending question."""
    from kapok.nodes.approvals import deny as decide

    _decided(decide(resolved_home(home), job_id), "denied", json=json)


@app.command("history")
def history(
    analyst: Analyst = None,
    since: Since = None,
    policy: PolicyTexts = False,
    as_csv: Csv = False,
    json: Json = False,
    home: Home = None,
) -> None:
    """Show everything ever asked, answered and refused, by the journal alone: the node may run or not."""
    from kapok.cli.history import history_as_csv, history_document, say_history, say_policies
    from kapok.nodes.history import history as read
    from kapok.nodes.history import moment_of

    if as_csv and (json or policy):
        raise InvalidInput(
            "--csv goes with neither --json nor --policy", code="bad_options", remedy="name one of them"
        )
    found = read(resolved_home(home), analyst=analyst, since=moment_of(since) if since else 0.0)
    if json:
        print_json(history_document(found))
    elif as_csv:
        say(history_as_csv(found))
    elif policy:
        say_policies(found)
    else:
        say_history(found)


@app.command("pause")
def pause(reason: Reason = "", json: Json = False, home: Home = None) -> None:
    """Stop this node at once, whether it runs or not: nothing is answered until `kapok node resume`."""
    from kapok.nodes.officers import pause as stop

    stopped = stop(resolved_home(home), reason)
    if json:
        print_json({"paused": True, **_pause(stopped)})
        return
    say(_since(stopped))
    say("jobs under way are refused at their next step; go on with `kapok node resume`")


@app.command("resume")
def resume(json: Json = False, home: Home = None) -> None:
    """Let this node answer again."""
    from kapok.nodes.officers import resume as go_on

    ended = go_on(resolved_home(home))
    if json:
        print_json({"paused": False} | (_pause(ended) if ended else {}))
    elif ended is None:
        say("this node was not paused")
    else:
        say(f"resumed; it was {_since(ended)}")


def _pause(pause: Pause) -> dict[str, Any]:
    return {
        "reason": pause.reason,
        "paused_at": pause.paused_at,
        "paused_by": pause.paused_by,
        "resumed_at": pause.resumed_at,
        "resumed_by": pause.resumed_by or None,
    }


def _since(pause: Pause) -> str:
    because = f": {plain(pause.reason)}" if pause.reason else ""
    return f"paused since {when(pause.paused_at)} by {plain(pause.paused_by)}{because}"


def _decided(question: Question, verdict: str, *, json: bool) -> None:
    if json:
        print_json({"job": question.job_id, "verdict": verdict})
    else:
        say(f"job {question.job_id[:SHOWN_DIGITS]} is {verdict}")


def _say_report(report: CheckReport) -> None:
    say(f"party    {report.party}")
    say(f"key      {report.key_fingerprint}")
    say(f"broker   {report.broker}" + (f"  ({report.broker_problem})" if report.broker_problem else ""))
    for dataset in report.datasets:
        say(f"dataset  {dataset.name}: {dataset.title or 'unknown'} {dataset.hash}")
        say(f"asset    {dataset.asset}: {_rows(dataset)}")
    for line in report.policy:
        say(f"policy   {line}")
    for warning in report.warnings:
        say(f"warning  {plain(warning)}")
    for problem in report.problems:
        say(f"problem  {plain(problem)}")
    if report.ok and report.warnings:
        say("ok       this node can run; the warnings above say what it will not answer, or not safely")
    elif report.ok:
        say("ok       nothing keeps this node from answering")


def _rows(dataset: DatasetReport) -> str:
    if dataset.table is None:
        return "rows unknown without the dataset's document"
    rows, unfiltered = dataset.table.rows, dataset.table.unfiltered
    if rows is None:
        return "rows unknown, for it cannot be read"
    return (
        f"{rows:,} rows" if unfiltered is None else f"{rows:,} of {unfiltered:,} rows, by the source's filter"
    )


def _document(shown: ShownQuestion) -> dict[str, Any]:
    return {
        **_question(shown.question),
        "rule": shown.rule,
        "earlier": [_question(one) for one in shown.earlier],
        "cohort": {"rule": shown.cohort.rule, "names": shown.cohort.names},
    }


def _question(question: Question) -> dict[str, Any]:
    return {
        "job": question.job_id,
        "analyst": question.analyst,
        "dataset": question.dataset,
        "question": question.question,
        "in_words": question.in_words,
        "state": question.state,
        "asked_at": question.asked_at,
        "deadline": question.deadline,
    }


def _say(shown: ShownQuestion) -> None:
    question = shown.question
    say(f"job       {question.job_id}")
    say(f"analyst   {plain(question.analyst)}")
    say(f"dataset   {question.dataset}")
    say(f"question  {plain(question.question)}")
    say(f"in words  {plain(question.in_words)}")
    say(f"asked     {when(question.asked_at)}")
    say(f"deadline  {when(question.deadline)}")
    for line in shown.rule:
        say(f"allowed   {line}")
    say(f"cohort    rule {shown.cohort.rule}")
    for names in shown.cohort.names:
        say(f"          answered before together with: {plain(', '.join(names))}")
    if shown.earlier:
        latest = shown.earlier[:_MOST_EARLIER]
        rows = [(when(one.asked_at), one.analyst, one.state, one.question) for one in latest]
        print_table(("asked before", "by", "state", "question"), rows)
        if len(latest) < len(shown.earlier):
            say("          the last of them; `kapok node history` shows all")
    else:
        say("before    this organisation has asked nothing of it")
