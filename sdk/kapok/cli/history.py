"""`kapok node history` on the terminal, as CSV and as one JSON document; its times are ISO 8601 in UTC."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from kapok.cli.terminal import say, say_as_it_stands
from kapok.client.progress import SHOWN_DIGITS
from kapok.errors import plain

if TYPE_CHECKING:
    from kapok.nodes.apps.approval import AppApproval
    from kapok.nodes.history import AskedQuestion, History, PolicyInForce, ReopenedCohort
    from kapok.nodes.journal import Pause

__all__ = ["history_as_csv", "history_document", "say_history", "say_policies"]

_COLUMNS: Final = (
    "at",
    "event",
    "job",
    "analyst",
    "dataset",
    "question",
    "in_words",
    "outcome",
    "code",
    "clause",
    "rule",
    "policy",
    "counted",
    "released_at",
    "decided_by",
    "decided_at",
    "until",
)
_TIMES: Final = {
    "asked": ("asked_at", "released_at", "decided_at"),
    "policies": ("since",),
    "pauses": ("paused_at", "resumed_at"),
    "reopenings": ("accepted_at",),
    "apps": ("approved_at", "withdrawn_at"),
}


def history_document(found: History) -> dict[str, Any]:
    """All of it; a time that is not known is null."""
    import msgspec

    document: dict[str, Any] = msgspec.to_builtins(found)
    for section, names in _TIMES.items():
        for one in document[section]:
            one.update({name: _utc(one[name]) or None for name in names})
    for one in document["asked"]:
        one["job"] = one.pop("job_id")
    return document | {"paused": found.paused is not None}


def history_as_csv(found: History) -> str:
    """One line for each thing that happened, the earliest first; what is not known is empty.

    ``event`` is ``question``, ``pause``, ``reopening`` (of a cohort: its identity stands as ``job``, its
    receiver as ``analyst``), ``app`` (approved by hand: its hash stands as ``job``), or ``policy`` (one came
    into force; `kapok node history --policy` shows it).
    """
    happened: list[tuple[float, dict[str, object]]] = [
        *((one.asked_at, _question_cells(one)) for one in found.asked),
        *((one.paused_at, _pause_cells(one)) for one in found.pauses),
        *((one.accepted_at, _reopening_cells(one)) for one in found.reopenings),
        *((one.since, _policy_cells(one)) for one in found.policies),
        *((one.approved_at, _app_cells(one)) for one in found.apps),
    ]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n", restval="")
    writer.writeheader()
    for at, cells in sorted(happened, key=itemgetter(0)):
        writer.writerow({"at": _utc(at)} | {name: plain(str(cell)) for name, cell in cells.items()})
    return text.getvalue().removesuffix("\n")


def _question_cells(one: AskedQuestion) -> dict[str, object]:
    shown = ("analyst", "dataset", "question", "in_words", "outcome", "code", "clause", "decided_by")
    cells = {name: getattr(one, name) for name in shown}
    cells |= {name: _utc(getattr(one, name)) for name in ("released_at", "decided_at")}
    cells |= {name: getattr(one, name) or "" for name in ("rule", "policy")}
    return cells | {"event": "question", "job": one.job_id, "counted": "yes" if one.counted else "no"}


def _pause_cells(one: Pause) -> dict[str, object]:
    return {
        "event": "pause",
        "in_words": one.reason,
        "decided_by": one.paused_by,
        "until": _utc(one.resumed_at),
    }


def _reopening_cells(one: ReopenedCohort) -> dict[str, object]:
    return {
        "event": "reopening",
        "job": one.reopening,
        "analyst": one.organisation,
        "dataset": one.asset,
        "in_words": f"serial {one.serial}, together with {', '.join(one.names)} since",
    }


def _policy_cells(one: PolicyInForce) -> dict[str, object]:
    return {
        "event": "policy",
        "policy": one.number,
        "in_words": f"policy.toml sha256 {one.policy_hash}, node.toml sha256 {one.settings_hash}",
    }


def _app_cells(one: AppApproval) -> dict[str, object]:
    return {
        "event": "app",
        "job": one.rule.hash,
        "analyst": " or ".join(one.rule.analysts),
        "dataset": one.rule.dataset,
        "in_words": f"sees {', '.join(one.rule.columns)}; may change {', '.join(one.rule.allow) or '-'}, "
        f"say {', '.join(one.rule.messages) or '-'}; tells {', '.join(one.rule.metrics) or 'any metrics'}",
        "decided_by": one.approved_by,
        "until": _utc(one.withdrawn_at),
    }


def say_history(found: History) -> None:
    """Each question with what became of it, and between them what officers did, the earliest first."""
    happened = [
        *((one.asked_at, _question(one)) for one in found.asked),
        *((one.paused_at, _pause(one)) for one in found.pauses),
        *((one.accepted_at, _reopened(one)) for one in found.reopenings),
        *((one.approved_at, _app_approved(one)) for one in found.apps),
        *((one.withdrawn_at, _app_withdrawn(one)) for one in found.apps if one.withdrawn_at is not None),
    ]
    for _, lines in sorted(happened, key=itemgetter(0)):
        for line in lines:
            say(line)
    if not found.asked:
        say("nothing was asked")


def say_policies(found: History) -> None:
    """Every policy that was in force, word for word, with when it came into force."""
    for number, one in enumerate(found.policies):
        say(f"policy {one.number}, in force since {_utc(one.since)}")
        say(f"    policy.toml  sha256 {one.policy_hash}")
        say(f"    node.toml    sha256 {one.settings_hash}")
        if number and one.policy_hash == found.policies[number - 1].policy_hash:
            say("    policy.toml as before")
        else:
            for line in one.policy.splitlines():
                say_as_it_stands(f"    | {plain(line)}")
    if not found.policies:
        say("no policy is on record: the node has not run since that is noted")


def _question(one: AskedQuestion) -> list[str]:
    job = one.job_id[:SHOWN_DIGITS]
    return [
        f"{_utc(one.asked_at)}  {job}  {plain(one.analyst)}  {one.dataset or '(not joined)'}",
        f"    {plain(one.in_words or one.question)}",
        f"    {', '.join(_became(one))}",
    ]


def _pause(pause: Pause) -> list[str]:
    """From when to when the node was stopped, by whom, and why."""
    ended = f" until {_utc(pause.resumed_at)} ({plain(pause.resumed_by)})" if pause.resumed_at else ""
    because = f": {plain(pause.reason)}" if pause.reason else ""
    return [f"{_utc(pause.paused_at)}  paused ({plain(pause.paused_by)}){ended}{because}"]


def _reopened(one: ReopenedCohort) -> list[str]:
    return [
        f"{_utc(one.accepted_at)}  {one.reopening[:SHOWN_DIGITS]}  cohort of {one.asset} reopened for "
        f"{plain(one.organisation)}, serial {one.serial}",
        f"    together with {plain(', '.join(one.names))} since",
    ]


def _app_approved(one: AppApproval) -> list[str]:
    rule = one.rule
    what = f"approved for {' or '.join(rule.analysts)} over {rule.dataset}"
    return [
        f"{_utc(one.approved_at)}  {rule.hash[:SHOWN_DIGITS]}  app {plain(what)} ({plain(one.approved_by)})"
    ]


def _app_withdrawn(one: AppApproval) -> list[str]:
    rule = one.rule
    return [
        f"{_utc(one.withdrawn_at)}  {rule.hash[:SHOWN_DIGITS]}  approval of the app over {rule.dataset} "
        f"ended ({plain(one.withdrawn_by)})"
    ]


def _became(one: AskedQuestion) -> list[str]:
    released = [] if one.released_at is None else [f"released {_utc(one.released_at)}"]
    refused = (
        [f"refused [{one.code}]" + (f" by {plain(one.clause)}" if one.clause else "")] if one.code else []
    )
    # A job of several rounds can be both.
    said = [*released, *refused] or [str(one.outcome)]
    if one.rule:
        said.append(f"rule {one.rule}" + (f" of policy {one.policy}" if one.policy else ""))
    if one.decided_at is not None:
        verdict = "denied" if one.code == "approval_denied" else "approved"
        said.append(f"{verdict} by {plain(one.decided_by)} {_utc(one.decided_at)}")
    if not one.counted:
        said.append("not counted as a question")
    return said


def _utc(seconds: float | None) -> str:
    return "" if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
