"""`kapok key`: the profile's result key."""

from __future__ import annotations

from typing import Annotated

import typer

from kapok.cli.grammar import group
from kapok.cli.options import Home, Json
from kapok.cli.terminal import print_json, say
from kapok.client.progress import SHOWN_DIGITS

__all__ = ["app"]

app = group("The profile's result key, under which sums are encrypted.")


@app.command("rotate")
def rotate(
    force: Annotated[
        bool,
        typer.Option("--force", help="Even while jobs are open, whose sums are then lost."),
    ] = False,
    json: Json = False,
    home: Home = None,
) -> None:
    """Replace the result key by a new one."""
    from kapok.client.jobs import JobFolder
    from kapok.client.profile import Profile
    from kapok.errors import InvalidInput, counted

    profile = Profile.load(home)
    folder = JobFolder(profile.jobs_folder)
    waiting = [job_id for job_id in folder.known() if folder.load(job_id).outcome == "open"]
    if waiting and not force:
        raise InvalidInput(
            counted(len(waiting), "job is", "jobs are")
            + f" open, {waiting[0][:SHOWN_DIGITS]} among them: sums need the present key",
            code="open_jobs",
            remedy="take their answers (`kapok job wait JOB`) or cancel them first, or say --force",
        )
    key = profile.rotate_key()
    if json:
        print_json(
            {"key_id": key.public.key_id.hex(), "bits": key.public.bits, "profile": key.public.profile}
        )
    else:
        say(
            f"new result key of {key.public.bits} bits, profile {key.public.profile}, "
            f"{key.public.key_id.hex()[:16]}: {profile.key_path}"
        )
