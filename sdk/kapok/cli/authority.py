"""`kapok authority`: who is a member."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from kapok.cli.grammar import group
from kapok.cli.options import Home, Json, resolved_home
from kapok.cli.terminal import note, print_json, say
from kapok.errors import counted

__all__ = ["app"]

app = group("The identity authority: decides who is a member.")

Hosts = Annotated[
    list[str] | None,
    typer.Option("--host", metavar="HOST", help="A host name or IP address of it (may be repeated)."),
]
_LISTEN = "127.0.0.1:7440"


@app.command("init")
def init(
    trust_domain: Annotated[
        str,
        typer.Argument(metavar="TRUST_DOMAIN", help="First part of every party's name.", show_default=False),
    ],
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where it listens; port 0: any free one.")
    ] = _LISTEN,
    address: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT", help="Where parties reach it.  [default: the same]", show_default=False
        ),
    ] = None,
    host: Hosts = None,
    broker: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where the broker will listen.", show_default=False)
    ] = "",
    json: Json = False,
    home: Home = None,
) -> None:
    """Make a new authority: its root key, its certificate, its settings."""
    from kapok.authority.app import init as make

    folder = resolved_home(home)
    name = make(
        folder, trust_domain, listen=listen, address=address, hosts=tuple(host or ()), broker_address=broker
    )
    if json:
        print_json({"name": str(name), "home": str(folder)})
    else:
        say(f"made {name} in {folder}")
        note(f"back up {folder / 'root'} and show it nobody: every identity here rests on it")


@app.command("run")
def run(home: Home = None) -> None:
    """Enrol those who show a token, until stopped."""
    from kapok.authority.app import run as enrolment
    from kapok.authority.settings import AuthorityHome
    from kapok.cli.serving import serve

    folder = resolved_home(home)
    settings = AuthorityHome(folder).load()
    serve(partial(enrolment, folder), settings.log_level, settings.log_format)


Broker = Annotated[
    str | None,
    typer.Option(
        "--broker",
        metavar="HOST:PORT",
        help="Where to send the list.  [default: as authority.toml]",
        show_default=False,
    ),
]


@app.command("revoke")
def revoke(
    role: Annotated[str, typer.Argument(metavar="ROLE", help="Its role.", show_default=False)],
    organisation: Annotated[
        str, typer.Argument(metavar="ORGANISATION", help="Its organisation.", show_default=False)
    ],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its own name.", show_default=False)],
    certificate: Annotated[
        Path | None,
        typer.Option(
            "--certificate",
            metavar="FILE",
            help="Its identity/certificate.pem, if authority.db was restored from a copy that is older.",
            show_default=False,
        ),
    ] = None,
    broker: Broker = None,
    json: Json = False,
    home: Home = None,
) -> None:
    """Let a party's certificates be good no longer: broker and nodes refuse it within a second."""
    from kapok.authority.revoking import revoke as end

    folder = resolved_home(home)
    party, count = end(folder, role, organisation, name, certificate=certificate)
    if not json:
        say(f"revoked {party}: {counted(count, 'certificate')}")
    _send(folder, broker, json)


@app.command("revocations")
def revocations(broker: Broker = None, json: Json = False, home: Home = None) -> None:
    """Sign the list of revoked certificates anew, show it, and send it to the broker."""
    _send(resolved_home(home), broker, json, show=True)


def _send(folder: Path, broker: str | None, json: bool, *, show: bool = False) -> None:
    from kapok.authority.revoking import publish

    address, found = asyncio.run(publish(folder, broker))
    signed = found.list
    until = f"{datetime.fromtimestamp(signed.expires, UTC):%Y-%m-%d}"
    parties = [
        {"party": party, "serial": f"{serial:x}", "revoked_at": at}
        for serial, (party, at) in found.revoked.items()
    ]
    if json:
        print_json(
            {"number": signed.number, "expires": signed.expires, "broker": address, "revoked": parties}
        )
        return
    for one in parties if show else ():
        say(f"{one['party'] or 'of a party that authority.db does not know'}  {one['serial']}")
    say(f"{address} has list {signed.number}, good until {until}, of {counted(len(parties), 'certificate')}")
    note(f"sign it anew before {until}: `kapok authority revocations`")


@app.command("token")
def token(
    role: Annotated[
        str,
        typer.Argument(
            metavar="ROLE", help="broker, node, analyst, officer, operator or supervisor.", show_default=False
        ),
    ],
    organisation: Annotated[
        str, typer.Argument(metavar="ORGANISATION", help="Its organisation.", show_default=False)
    ],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its own name.", show_default=False)],
    host: Hosts = None,
    broker: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Where the broker listens.  [default: as authority.toml]",
            show_default=False,
        ),
    ] = None,
    valid_for: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="How long.  [default: as authority.toml]", show_default=False),
    ] = None,
    json: Json = False,
    home: Home = None,
) -> None:
    """Give out a one-time token that enrols one party. It is a secret: hand it over accordingly."""
    from kapok.authority.app import token as give

    text = give(
        resolved_home(home),
        role,
        organisation,
        name,
        hosts=tuple(host or ()),
        broker_address=broker,
        lifetime_s=valid_for,
        notice=note,
    )
    if json:
        print_json({"token": text})
    else:
        say(text)
