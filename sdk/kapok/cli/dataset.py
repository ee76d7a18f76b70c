"""`kapok dataset`: schemas that holders join and questions are asked of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from kapok.cli.grammar import group
from kapok.cli.options import Home, Json
from kapok.cli.terminal import note, print_json, print_table, say
from kapok.errors import counted, plain

if TYPE_CHECKING:
    from kapok.client.catalogue import VerifiedDataset
    from kapok.documents.dataset import Column
    from kapok.nodes.drafting import Draft

__all__ = ["app"]

_MOST_LISTED: Final = 20

app = group("Datasets: schemas that holders join and questions are asked of.")


@app.command("publish")
def publish(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Schema, TOML.", show_default=False)],
    json: Json = False,
    home: Home = None,
) -> None:
    """Sign a schema and publish it; prints the hash that holders write into their node.toml."""
    import asyncio

    from kapok.client.session import connect_async

    async def ask() -> VerifiedDataset:
        async with await connect_async(home) as session:
            return await session.publish(file)

    dataset = asyncio.run(ask())
    if json:
        print_json({"name": dataset.schema.name, "hash": dataset.hash})
    else:
        say(f"{dataset.schema.name} {dataset.hash}")


@app.command("draft")
def draft(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A table: CSV, Parquet or Arrow.", show_default=False)
    ],
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The dataset's name.  [default: the file's]")
    ] = None,
    rows_max: Annotated[
        int | None,
        typer.Option(metavar="N", help="Most rows of a holder.  [default: a round number above the file's]"),
    ] = None,
    columns: Annotated[
        str,
        typer.Option(metavar="NAME,…", help="Names of a CSV file's columns, if its first line has none."),
    ] = "",
    delimiter: Annotated[
        str | None,
        typer.Option(metavar="CHARACTER", help="Between a CSV file's cells.  [default: found out]"),
    ] = None,
    null: Annotated[
        list[str] | None,
        typer.Option(metavar="WORD", help="In a CSV file unknown (may be repeated).  [default: found out]"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="SCHEMA", help="Write to a new file, TOML.  [default: standard output]"),
    ] = None,
    json: Json = False,
) -> None:
    """Draft a schema from one holder's file, with comments: a starting point for those who agree on one."""
    from kapok.identity.keyfiles import write_new_file
    from kapok.nodes.drafting import draft as make

    made = make(
        file,
        name=name,
        rows_max=rows_max,
        columns=tuple(one.strip() for one in columns.split(",")) if columns else (),
        delimiter=delimiter,
        nulls=tuple(null or ()),
    )
    if out is not None:
        write_new_file(out, made.text.encode())
    _show_draft(made, json=json, written=out is not None)


def _show_draft(made: Draft, *, json: bool, written: bool) -> None:
    if json:
        _print_draft(made)
        return
    if not written:
        say(made.text.rstrip("\n"))
    some = f", {counted(len(made.left_out), 'column')} left out" if made.left_out else ""
    drafted = counted(len(made.dataset.columns), "column")
    note(f"{drafted} drafted{some}: read every line before you publish it")


def _print_draft(made: Draft) -> None:
    import msgspec

    schema = msgspec.to_builtins(made.dataset)
    print_json({"schema": schema, "left_out": list(made.left_out), "toml": made.text})


@app.command("list")
def list_datasets(json: Json = False, home: Home = None) -> None:
    """List the datasets that the broker knows, each verified."""
    import asyncio

    from kapok.client.session import connect_async

    async def ask() -> list[VerifiedDataset]:
        async with await connect_async(home) as session:
            return await session.datasets(progress=lambda told: note(told.text))

    datasets = asyncio.run(ask())
    if json:
        print_json({"datasets": [_summary(dataset) for dataset in datasets]})
    elif not datasets:
        say("no datasets yet")
    else:
        rows = [
            (
                one.label,
                one.publisher.organisation,
                len(one.schema.columns),
                f"{sum(member.connected for member in one.members)}/{len(one.members)}",
                one.schema.description,
            )
            for one in datasets
        ]
        print_table(("dataset", "published by", "columns", "nodes here/joined", "description"), rows)


@app.command("show")
def show(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="heart, heart@ab12cd with the beginning of its hash, or the whole hash.",
            show_default=False,
        ),
    ],
    json: Json = False,
    home: Home = None,
) -> None:
    """Show a dataset's columns and who has joined it."""
    import asyncio

    from kapok.client.session import connect_async

    async def ask() -> VerifiedDataset:
        async with await connect_async(home) as session:
            return await session.dataset(name)

    dataset = asyncio.run(ask())
    if json:
        import msgspec

        print_json(_summary(dataset) | {"schema": msgspec.to_builtins(dataset.schema)})
        return
    say(f"dataset       {dataset.schema.name}")
    say(f"hash          {dataset.hash}")
    say(f"published by  {dataset.publisher}")
    if dataset.schema.description:
        say(f"description   {plain(dataset.schema.description)}")
    say(f"rows          at most {dataset.schema.rows_max:,} of a holder")
    say(f"empty cells   {dataset.schema.empty_cells}")
    if not dataset.members:
        say("joined by     nobody yet: holders name the hash in their node.toml")
    for error in dataset.unverified:
        say(f"not verified  {plain(error.message)} [{error.code}]")
    _show_columns(dataset.schema.columns)
    if dataset.members:
        joined = [
            (one.name.organisation, one.name.name, "yes" if one.connected else "no", str(one.name))
            for one in dataset.members
        ]
        print_table(("joined by", "node", "connected", "name"), joined)


def _show_columns(columns: tuple[Column, ...]) -> None:
    """A table of the columns, without those headings under which none of them has anything."""
    headings = ("column", "type", "nullable", "values", "unit", "description")
    rows = [
        (one.name, one.type, "yes" if one.nullable else "", values(one), one.unit, one.description)
        for one in columns
    ]
    used = [place for place in range(len(headings)) if place < 2 or any(row[place] for row in rows)]
    print_table([headings[place] for place in used], [[row[place] for place in used] for row in rows])


def values(column: Column) -> str:
    """The values that a column may have, for people; of a long domain the first."""
    if column.domain is not None:
        listed = ", ".join(str(value) for value in column.domain[:_MOST_LISTED])
        more = len(column.domain) - _MOST_LISTED
        return f"{listed} and {more:,} more" if more > 0 else listed
    match column.type:
        case "boolean":
            return "false, true"
        case "decimal":
            return f"{column.minimum} to {column.maximum} by {column.resolution}"
        case "timestamp":
            return f"{column.minimum} to {column.maximum} (UTC)"
        case _:
            return f"{column.minimum} to {column.maximum}"


def _summary(dataset: VerifiedDataset) -> dict[str, Any]:
    return {
        "name": dataset.schema.name,
        "hash": dataset.hash,
        "published_by": str(dataset.publisher),
        "description": dataset.schema.description,
        "members": [
            {
                "name": str(one.name),
                "organisation": one.name.organisation,
                "node": one.name.name,
                "connected": one.connected,
            }
            for one in dataset.members
        ],
        "unverified": [error.code for error in dataset.unverified],
    }
