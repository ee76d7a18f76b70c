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
        typer.Option("--force", help="Even while jobs have not been fetched, whose sums are then lost."),
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
    # A damaged file stops here with its name, for its job may be open.
    waiting = [] if force else [one for one in folder.known() if folder.load(one).outcome == "open"]
    if waiting:
        job = waiting[0][:SHOWN_DIGITS]
        raise InvalidInput(
            counted(len(waiting), "job has", "jobs have")
            + f" not been fetched, {job} among them: a sum opens with the present key alone",
            code="open_jobs",
            remedy=f"`kapok job wait {job}` takes its answer, or the reason why there is none; "
            f"`kapok job cancel {job}` withdraws it; --force gives such sums up",
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
