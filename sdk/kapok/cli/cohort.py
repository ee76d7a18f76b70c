"""`kapok cohort`: which nodes' sums an organisation may get, and how officers change that."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from kapok.cli.grammar import group
from kapok.cli.options import Home, Json
from kapok.cli.terminal import confirmed, note, print_json, say, when
from kapok.client.progress import SHOWN_DIGITS
from kapok.errors import plain

if TYPE_CHECKING:
    from kapok.client.cohorts import ReopeningView
    from kapok.client.officer import Cohorts, OfficerSession
    from kapok.documents.reopening import SignedReopening

__all__ = ["app"]

app = group("Cohorts: with which nodes holders answer an organisation, and how officers reopen that.")

Yes = Annotated[bool, typer.Option("--yes", help="Sign without asking.")]
ReopeningId = Annotated[
    str, typer.Argument(metavar="ID", help="A reopening's identity, or its beginning.", show_default=False)
]
_UNSIGNED: Final = "the broker's word alone: that it shows everything, and when something was proposed"


@app.command("show")
def show(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="Its name or hash.", show_default=False)],
    json: Json = False,
    home: Home = None,
) -> None:
    """Show a dataset's cohorts, and what has become of each reopening: who signed, who is missing."""
    import asyncio

    from kapok.client.officer import connect_officer

    async def ask() -> Cohorts:
        async with await connect_officer(home) as session:
            return await session.show(dataset)

    shown = asyncio.run(ask())
    if json:
        print_json(_document(shown))
    else:
        _say(shown)


@app.command("propose")
def propose(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="Its name or hash.", show_default=False)],
    receiver: Annotated[
        str, typer.Option(metavar="ORGANISATION", help="Whose analysts get the answers.", show_default=False)
    ],
    members: Annotated[
        str,
        typer.Option(
            metavar="NAME,…",
            help="The new cohort: organisations, or ORGANISATION/NODE where one has several.",
            show_default=False,
        ),
    ],
    old: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME,…", help="A cohort in force that is not shown (may be repeated)."),
    ] = None,
    days: Annotated[int, typer.Option(metavar="N", help="For how long it can be signed and accepted.")] = 14,
    yes: Yes = False,
    json: Json = False,
    home: Home = None,
) -> None:
    """Propose another cohort, and sign the proposal for this officer's organisation."""
    import asyncio

    from kapok.client.officer import connect_officer
    from kapok.documents.reopening import SignedReopening

    async def ask() -> SignedReopening:
        async with await connect_officer(home) as session:
            shown = await session.show(dataset)
            reopening = session.draft(
                shown,
                receiver=receiver,
                members=_list(members),
                old=[_list(one) for one in old or ()],
                days=days,
            )
            return await _sign(session, SignedReopening.of(reopening), shown.dataset.label, yes=yes)

    _say_signed(asyncio.run(ask()), json=json)


@app.command("sign")
def sign(reopening_id: ReopeningId, yes: Yes = False, json: Json = False, home: Home = None) -> None:
    """Say in words what a reopening means, ask, and sign it for this officer's organisation."""
    import asyncio

    from kapok.client.officer import connect_officer

    async def ask() -> SignedReopening:
        async with await connect_officer(home) as session:
            found = await session.find(reopening_id)
            label = await session.dataset_name(found.reopening.dataset)
            return await _sign(session, found.document, label, yes=yes)

    _say_signed(asyncio.run(ask()), json=json)


@app.command("save")
def save(
    reopening_id: ReopeningId,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file.", show_default=False)],
    json: Json = False,
    home: Home = None,
) -> None:
    """Write a reopening with its signatures to a file, for `kapok node cohort accept` without the broker."""
    import asyncio

    from kapok.client.officer import connect_officer
    from kapok.identity.keyfiles import write_new_file

    async def ask() -> ReopeningView:
        async with await connect_officer(home) as session:
            return await session.find(reopening_id)

    found = asyncio.run(ask())
    write_new_file(file, found.document.to_json(), mode=0o644)
    if json:
        print_json({"reopening": found.document.id, "written": str(file), "missing": list(found.missing)})
    else:
        say(f"written to {file}")
        _say_missing(found)


async def _sign(
    session: OfficerSession, document: SignedReopening, label: str, *, yes: bool
) -> SignedReopening:
    """Show what is signed, ask unless told not to, sign."""
    from kapok.client.cohorts import in_words

    for line in in_words(document.read(), label):
        note(plain(line))
    if not (yes or confirmed(f"Sign it as {session.name}?")):
        raise typer.Abort
    return await session.submit(document)


def _say_signed(document: SignedReopening, *, json: bool) -> None:
    if json:
        print_json({"reopening": document.id})
    else:
        say(f"signed reopening {document.id}")


def _say(shown: Cohorts) -> None:
    say(f"dataset    {shown.dataset.label}")
    for receiver in shown.receivers:
        say(f"receiver   {plain(receiver.rpartition('/')[2])}")
        for names in shown.in_force(receiver):
            say(f"cohort     {_names(names)}")
    for one in shown.cohorts:
        if set(one.bound) != set(one.names):
            say(f"bound      to {_names(one.names)}: only {_names(one.bound)}")
    for view in shown.reopenings:
        reopening = view.reopening
        say(
            f"reopening  {view.document.id[:SHOWN_DIGITS]} (serial {reopening.serial}) for "
            f"{plain(reopening.receiver.rpartition('/')[2])}: to {_names(reopening.new)}"
        )
        say(
            f"           proposed by {reopening.proposer} on {when(view.proposed_at)}, until "
            f"{when(reopening.expires)}"
        )
        say(f"           signed by {', '.join(str(one) for one in view.signed) or 'nobody'}")
        _say_missing(view)
        say(f"           accepted by {_names(view.accepted) or 'no node yet'}")
        for name, why in view.refused.items():
            say(f"           refused by {_names([name])}: {plain(why)}")
    for error in shown.unverified:
        say(f"not verified  {plain(error.message)} [{error.code}]")
    note(_UNSIGNED)


def _say_missing(view: ReopeningView) -> None:
    if view.missing:
        say(f"           missing: an officer of {', '.join(one.rpartition('/')[2] for one in view.missing)}")


def _names(names: Any) -> str:
    return ", ".join("/".join(name.split("/")[4::2]) for name in names)


def _list(text: str) -> list[str]:
    return [one.strip() for one in text.split(",") if one.strip()]


def _document(shown: Cohorts) -> dict[str, Any]:
    return {
        "dataset": shown.dataset.hash,
        "in_force": {receiver: shown.in_force(receiver) for receiver in shown.receivers},
        "cohorts": [
            {"receiver": one.receiver, "names": one.names, "bound": one.bound, "reopening": one.reopening}
            for one in shown.cohorts
        ],
        "reopenings": [
            {
                "id": one.document.id,
                "receiver": one.reopening.receiver,
                "serial": one.reopening.serial,
                "old": one.reopening.old,
                "new": one.reopening.new,
                "proposer": one.reopening.proposer,
                "proposed_at": one.proposed_at,
                "expires": one.reopening.expires,
                "signed": [str(name) for name in one.signed],
                "missing": one.missing,
                "accepted": one.accepted,
                "refused": one.refused,
            }
            for one in shown.reopenings
        ],
        "unverified": [error.code for error in shown.unverified],
    }
