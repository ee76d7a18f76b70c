"""The whole grammar in one place, and the one place where errors become exit statuses."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Final

import click
import typer

from kapok.cli import (
    analyses,
    authority,
    broker,
    cohort,
    dataset,
    demo,
    doctor,
    enroll,
    explain,
    fl,
    job,
    key,
    node,
    node_apps,
    node_cohort,
    query,
)
from kapok.cli.extras import missing_extra
from kapok.cli.grammar import group
from kapok.cli.hints import forget_home
from kapok.cli.options import EXIT_STATUSES
from kapok.cli.terminal import INTERRUPTED, Interrupted, note, report, report_interrupt, report_usage, say

__all__ = ["app", "run"]

_USAGE: Final = 2


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        say(f"kapok {version('kapok')}")
        raise typer.Exit


app = group("Ask questions over data that never leaves its holders.", name="kapok", epilog=EXIT_STATUSES)


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Ask questions over data that never leaves its holders."""


app.command("query")(query.query)
app.command("explain")(explain.explain)
app.command("glm")(analyses.glm)
app.command("survival")(analyses.survival)
app.command("cox")(analyses.cox)
app.command("test")(analyses.compare)
app.command("matrix")(analyses.matrix)
app.command("meta")(analyses.meta)
app.command("demo")(demo.demo)
app.command("enroll")(enroll.enroll)
app.command("doctor")(doctor.doctor)
app.add_typer(job.app, name="job")
app.add_typer(fl.app, name="fl")
app.add_typer(dataset.app, name="dataset")
app.add_typer(cohort.app, name="cohort")
node.app.add_typer(node_cohort.app, name="cohort")
node.app.add_typer(node_apps.app, name="apps")
app.add_typer(node.app, name="node")
app.add_typer(broker.app, name="broker")
app.add_typer(authority.app, name="authority")
app.add_typer(key.app, name="key")


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: Without the program's name; the process's own when None.

    Returns:
        The exit status. Nothing is raised.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in given
    forget_home()
    try:
        status = typer.main.get_command(app).main(args=given, prog_name="kapok", standalone_mode=False)
    except click.UsageError as error:
        return _wrong_use(error, as_json=as_json)
    except click.ClickException as error:
        return report_usage(error.format_message(), "", error.exit_code, as_json=as_json)
    except Interrupted as stopped:
        return report_interrupt(stopped, as_json=as_json)
    except (click.Abort, KeyboardInterrupt):
        return report_interrupt(None, as_json=as_json)
    except BrokenPipeError:
        _hush()
        return 0
    except ModuleNotFoundError as error:
        return report(missing_extra(error, given) or error, as_json=as_json)
    except Exception as error:  # noqa: BLE001 - the last door: whatever comes here becomes words and a status
        return report(error, as_json=as_json)
    if status == INTERRUPTED:  # typer's word for Ctrl-C
        return report_interrupt(None, as_json=as_json)
    return status if isinstance(status, int) else 0


def _wrong_use(error: click.UsageError, *, as_json: bool) -> int:
    context = error.ctx
    if type(error).__name__ == "NoArgsIsHelpError":
        note(error.format_message())
        return _USAGE
    usage = f"usage: {context.command_path} --help shows how" if context else ""
    return report_usage(error.format_message(), usage, _USAGE, as_json=as_json)


def _hush() -> None:
    """Whoever read our output has gone: let the interpreter flush into nothing at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
