"""`kapok node apps` and `kapok node approve app`: which Flower apps may run beside the holder's data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kapok.cli.grammar import group
from kapok.cli.inspecting import inspection_document, say_inspection
from kapok.cli.options import Home, Json, resolved_home
from kapok.cli.terminal import confirmed, print_json, say, say_as_it_stands, when
from kapok.errors import InvalidInput, plain

if TYPE_CHECKING:
    from kapok.nodes.apps.approval import AppRule
    from kapok.nodes.apps.officers import HeldApp

__all__ = [
    "AllowedValues",
    "ClipNorm",
    "Columns",
    "Dataset",
    "For",
    "Limits",
    "Messages",
    "Metrics",
    "Unshut",
    "app",
    "approve_app",
    "rule_of",
]

AppHash = Annotated[
    str,
    typer.Argument(metavar="HASH", help="An app's hash, or at least its first 4 digits.", show_default=False),
]
File = Annotated[
    Path, typer.Argument(metavar="FILE", help="A bundle, as `kapok fl build` wrote it.", show_default=False)
]
For = Annotated[
    list[str] | None,
    typer.Option("--analyst", metavar="PATTERN", help="For an app: for whom, e.g. org/university/analyst/*."),
]
Dataset = Annotated[
    str | None,
    typer.Option("--dataset", metavar="NAME", help="For an app: over what.  [default: the only one]"),
]
Columns = Annotated[
    str | None,
    typer.Option("--columns", metavar="NAMES", help="For an app: what it sees, e.g. age,sex; '*' for all."),
]
AllowedValues = Annotated[
    list[str] | None,
    typer.Option(
        "--allow",
        metavar="KEY=VALUES",
        help="For an app: what a job may change in its configuration, e.g. learning-rate=0.0001..0.1.",
    ),
]
Messages = Annotated[
    list[str] | None,
    typer.Option(
        "--message",
        metavar="KEY=VALUES",
        help="For an app: what the job's messages may say to it beside the model, e.g. lr=0.0001..0.1.",
    ),
]
Metrics = Annotated[
    list[str] | None,
    typer.Option(
        "--metric",
        metavar="NAME=LEAST..LARGEST",
        help="For an app: what it may tell beside the model, cut to this range.  [default: any metrics]",
        show_default=False,
    ),
]
Limits = Annotated[
    list[str] | None,
    typer.Option("--limit", metavar="NAME=NUMBER", help="For an app: what it may use, e.g. memory_mib=4096."),
]
ClipNorm = Annotated[
    float | None,
    typer.Option(
        "--clip-norm",
        metavar="C",
        help="For an app: largest norm by which it may change the model.  [default: any]",
        show_default=False,
    ),
]
Unshut = Annotated[
    bool,
    typer.Option(
        "--without-sandbox", help="For an app: let it read whatever the node can. Only if you wrote it."
    ),
]

app = group("Flower apps that may run beside the data; without a command, those that are here.", alone=True)


@app.callback()
def apps(context: typer.Context, json: Json = False, home: Home = None) -> None:
    """List the apps that are here or approved."""
    if context.invoked_subcommand is not None:
        return
    from kapok.nodes.apps.officers import held_apps

    found = held_apps(resolved_home(home))
    if json:
        print_json({"apps": [_document(one) for one in found]})
        return
    if not found:
        say("no app is here; bring a bundle with `kapok node apps add FILE`")
    for one in found:
        _say(one)


@app.command("add")
def add(file: File, json: Json = False, home: Home = None) -> None:
    """Bring a bundle here, and show what is in it. It does not run before it is approved."""
    from kapok.documents.inspection import inspect
    from kapok.nodes.apps.officers import add_app

    found = inspect(add_app(resolved_home(home), file))
    if json:
        print_json(inspection_document(found))
        return
    say_inspection(found)
    say(f"read its code with `kapok node apps show {found.hash[:12]} --code`, and then approve it:")
    say(f"`kapok node approve app {found.hash[:12]} --analyst PATTERN --columns NAMES`")


@app.command("show")
def show(
    app_hash: AppHash,
    code: Annotated[bool, typer.Option("--code", help="Print every file, whole.")] = False,
    json: Json = False,
    home: Home = None,
) -> None:
    """Show what is in an app that is here."""
    from kapok.documents.inspection import inspect
    from kapok.nodes.apps.officers import held_app

    bundle = held_app(resolved_home(home), app_hash)
    texts = {path: content.decode("utf-8", "backslashreplace") for path, content in bundle.files.items()}
    if json:
        print_json(inspection_document(inspect(bundle)) | ({"code": texts} if code else {}))
        return
    say_inspection(inspect(bundle))
    for path, text in texts.items() if code else ():
        say(f"\n--- {path}")
        for number, line in enumerate(text.splitlines(), 1):
            say_as_it_stands(f"{number:5}  {plain(line)}")


@app.command("withdraw")
def withdraw(app_hash: AppHash, json: Json = False, home: Home = None) -> None:
    """Withdraw what was approved of an app by hand; jobs under way are refused at their next step."""
    from kapok.nodes.apps.officers import withdraw_app

    ended = withdraw_app(resolved_home(home), app_hash)
    if json:
        print_json({"app": ended[0].rule.hash, "withdrawn": [one.rule.dataset for one in ended]})
    else:
        say(
            f"app {ended[0].rule.hash[:12]} is no longer approved by hand; what policy.toml approves still is"
        )


@app.command("remove")
def remove(app_hash: AppHash, json: Json = False, home: Home = None) -> None:
    """Delete a bundle from here, and withdraw what was approved of it by hand."""
    from kapok.nodes.apps.officers import remove_app

    digest = remove_app(resolved_home(home), app_hash)
    if json:
        print_json({"app": digest, "removed": True})
    else:
        say(f"app {digest[:12]} is removed")


def rule_of(
    folder: Path,
    app_hash: str,
    analysts: list[str] | None,
    dataset: str | None,
    columns: str | None,
    allow: list[str] | None,
    messages: list[str] | None,
    metrics: list[str] | None,
    limits: list[str] | None,
    clip_norm: float | None,
    without_sandbox: bool,
) -> AppRule:
    """The approval that a command line means.

    Raises:
        InvalidInput: ``bad_approval``, or as `kapok.nodes.apps.officers.held_app`.
        NotFound: ``unknown_app``.
    """
    from kapok.nodes.apps.approval import AppRule
    from kapok.nodes.apps.officers import held_app

    if not analysts or not columns:
        raise InvalidInput(
            "an approval says for whom, and what the app sees",
            code="bad_approval",
            remedy="add --analyst PATTERN and --columns NAMES",
        )
    return AppRule(
        hash=held_app(folder, app_hash).hash,
        analysts=tuple(analysts),
        dataset=dataset or _only_dataset(folder),
        columns=tuple(name.strip() for name in columns.split(",")),
        allow=tuple(allow or ()),
        messages=tuple(messages or ()),
        metrics=tuple(metrics or ()),
        clip_norm=clip_norm,
        isolation="none" if without_sandbox else "sandbox",
        limits=_limits(limits or []),
    )


def approve_app(folder: Path, rule: AppRule, *, yes: bool, json: bool) -> None:
    """Approve an app by hand: shows what is in it and what would be approved, and asks at a terminal."""
    from kapok.documents.inspection import inspect
    from kapok.nodes.apps.officers import approve_app as decide
    from kapok.nodes.apps.officers import held_app
    from kapok.nodes.apps.readiness import app_in_words

    if not json:
        say_inspection(inspect(held_app(folder, rule.hash)))
        for line in app_in_words("This app", rule):
            say(f"approves   {line}")
    if not (yes or json or confirmed("approve it?")):
        say("it is not approved")
        return
    new = decide(folder, rule)
    if json:
        print_json({"app": rule.hash, "approved": True, "new": new})
    else:
        say(f"app {rule.hash[:12]} is approved" + ("" if new else ", as it was before"))


def _only_dataset(folder: Path) -> str:
    from kapok.nodes.settings import load_settings

    names = list(load_settings(folder).datasets)
    if len(names) != 1:
        raise InvalidInput(
            f"node.toml names {len(names)} datasets",
            code="bad_approval",
            remedy="say over which: --dataset NAME",
        )
    return names[0]


def _limits(texts: list[str]) -> Any:
    import msgspec

    from kapok.nodes.apps.limits import AppLimits

    try:
        return msgspec.convert(
            {name.strip(): number.strip() for name, _, number in (text.partition("=") for text in texts)},
            AppLimits,
            strict=False,
        )
    except (msgspec.ValidationError, ValueError):
        raise InvalidInput(
            "a limit cannot be used",
            code="bad_approval",
            remedy="write NAME=NUMBER with a name of: " + ", ".join(AppLimits.__struct_fields__),
        ) from None


def _document(held: HeldApp) -> dict[str, Any]:
    import msgspec

    bundle = held.bundle
    rules: list[tuple[dict[str, Any], AppRule]] = [
        *(({"by": f"policy.app[{number}]"}, rule) for number, rule in held.policy),
        *(({"by": one.approved_by, "since": one.approved_at}, one.rule) for one in held.by_hand),
    ]
    return {
        "hash": held.hash,
        "here": bundle is not None,
        "name": bundle.name if bundle else None,
        "version": bundle.version if bundle else None,
        "approvals": [by | msgspec.to_builtins(rule) for by, rule in rules],
    }


def _say(held: HeldApp) -> None:
    from kapok.nodes.apps.readiness import app_in_words

    what = (
        f"{plain(held.bundle.name)} {plain(held.bundle.version)}"
        if held.bundle
        else "not here: add its bundle"
    )
    say(f"app {held.hash[:12]}  {what}")
    for number, rule in held.policy:
        for line in app_in_words(f"by policy.toml, app {number}", rule):
            say(f"    {plain(line)}")
    for one in held.by_hand:
        for line in app_in_words(f"by {one.approved_by}, {when(one.approved_at)}", one.rule):
            say(f"    {plain(line)}")
    if not held.policy and not held.by_hand:
        say("    not approved")
