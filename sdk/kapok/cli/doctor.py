"""`kapok doctor`: what is wrong with a party's folder, and what to do."""

from __future__ import annotations

import typer

from kapok.cli.options import Home, Json, resolved_home
from kapok.cli.terminal import print_json, say
from kapok.errors import InvalidInput, Unavailable, plain

__all__ = ["doctor"]


def doctor(json: Json = False, home: Home = None) -> None:
    """Look at a party's identity, settings, disk and databases, its line to the broker, and clocks."""
    from kapok.cli.examination import examine
    from kapok.cli.hints import pasteable, remember_role

    found = examine(resolved_home(home))
    remember_role(found.role)
    status = found.exit_status
    if json:
        print_json(
            {
                "home": str(found.home),
                "role": found.role,
                "ok": not status,
                "findings": [
                    {
                        "subject": one.subject,
                        "grade": one.grade,
                        "text": pasteable(one.text),
                        "remedy": pasteable(one.remedy) if one.remedy else None,
                    }
                    for one in found.findings
                ],
            }
        )
        if status:
            # All of it is in the document: an error beside it would be a second one.
            raise typer.Exit(status)
        return
    for one in found.findings:
        say(f"{one.grade:<8} {one.subject:<10} {plain(one.text)}")
        if one.remedy and one.grade != "ok":
            say(f"{'':<19} {plain(one.remedy)}")
    problems = sorted(
        (one for one in found.findings if one.grade == "problem"), key=lambda one: one.exit_status
    )
    if problems:
        more = f" (the first of {len(problems)} problems)" if problems[1:] else ""
        kind = InvalidInput if status == InvalidInput.exit_status else Unavailable
        raise kind(
            f"this {found.role} cannot do all of its work: {problems[0].subject}: {problems[0].text}{more}",
            code="doctor_failed",
            remedy="mend what is named as a problem, and look again",
        )
