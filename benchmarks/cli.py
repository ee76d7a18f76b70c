"""The command line: reads options, runs each number of threads in a process of its own, shows and writes.

Exit status: 0 done, 1 a result was wrong or a run could not go on, 2 the arguments make no sense, 130
interrupted.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NoReturn

from rich.console import Console

from benchmarks import machine, plots, suites, tables
from benchmarks.errors import BadArgument, BenchmarkError
from benchmarks.peers import presence
from benchmarks.quoted import QUOTED
from benchmarks.records import FORMAT, Report
from benchmarks.session import SUITES, Options, Session

__all__ = ["main", "read_options"]

_KEY_SIZES: Final = (2048, 3072, 4096)
_SECONDS: Final = 4.0
_SHORT_SECONDS: Final = 1.0
_MOST_THREADS: Final = 256
_WIDTH: Final = 150
_OUT: Final = Path("benchmark-results.json")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for, and return the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        parsed = _parser().parse_args(given)
        if parsed.show is not None:
            _finish(Report.joined([Report.read(path) for path in parsed.show]), parsed.out, parsed.plots)
            return 0
        options = read_options(parsed)
        out = parsed.out or _OUT
        _check_target(out)
        report = _run(options, "python -m benchmarks " + shlex.join(given), in_this_process=parsed.alone)
        _finish(report, out, parsed.plots)
    except BadArgument as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    except BenchmarkError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("benchmarks: interrupted, nothing was written", file=sys.stderr)
        return 130
    return 0


def read_options(parsed: argparse.Namespace) -> Options:
    """The options, checked.

    Raises:
        BadArgument: with what is wrong and what is allowed.
    """
    chosen = [name for text in parsed.suite or ["all"] for name in text.split(",")]
    if "all" in chosen:
        chosen = list(SUITES)
    for name in chosen:
        if name not in SUITES:
            raise BadArgument(f"there is no suite {name!r}: choose from {', '.join(SUITES)}")
    if "flights" in ",".join(parsed.suite or ()).split(",") and not parsed.flights:
        raise BadArgument("--suite flights needs --flights DIR: examples/flights/README.md has how to get it")
    bits = _numbers(
        "--bits",
        parsed.bits or ("2048" if parsed.short else "2048,3072"),
        least=min(_KEY_SIZES),
        most=max(_KEY_SIZES),
    )
    for size in bits:
        if size not in _KEY_SIZES:
            raise BadArgument(f"--bits {size}: choose from {', '.join(map(str, _KEY_SIZES))}")
    threads = _numbers("--threads", parsed.threads, least=1, most=_MOST_THREADS)
    if max(threads) > len(machine.own_cores()):
        raise BadArgument(f"--threads {max(threads)}: this process may use {len(machine.own_cores())} cores")
    seconds = parsed.seconds if parsed.seconds is not None else _SHORT_SECONDS if parsed.short else _SECONDS
    if not 0 <= seconds <= 3600:
        raise BadArgument(f"--seconds {seconds:g}: from 0 to 3600")
    repeats = parsed.repeats if parsed.repeats is not None else 3 if parsed.short else 5
    if not 1 <= repeats <= 1000:
        raise BadArgument(f"--repeats {repeats}: from 1 to 1000")
    return Options(
        suites=tuple(name for name in SUITES if name in chosen),
        bits=bits,
        threads=threads,
        seconds=seconds,
        repeats=repeats,
        short=parsed.short,
        profile=parsed.profile,
        flights=parsed.flights,
    )


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m benchmarks",
        description="Measure Kapok beside the libraries one would take otherwise: in turn, in one process.",
        epilog="Peers that are not installed are named in the tables. `make bench` installs them.",
    )
    parser.add_argument(
        "--suite", action="append", metavar="NAME", help=f"one or more of {', '.join(SUITES)}; default: all"
    )
    parser.add_argument("--bits", metavar="N,…", help="key sizes (default: 2048,3072; short: 2048)")
    parser.add_argument("--threads", default="1", metavar="N,…", help="threads (default: %(default)s)")
    parser.add_argument("--seconds", type=float, metavar="S", help="for each figure (default: 4; short: 1)")
    parser.add_argument(
        "--repeats", type=int, metavar="N", help="rounds at least for each figure (default: 5; short: 3)"
    )
    parser.add_argument(
        "--short", action="store_true", help="smaller vectors and fewer parameters: minutes in all"
    )
    parser.add_argument(
        "--flights",
        metavar="DIR",
        help="for the suite flights: folder with the files that examples/flights/README.md tells of",
    )
    parser.add_argument("--profile", action="store_true", help="also where the time of an encryption goes")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help=f"where JSON is written, and tables beside it as .md (default: {_OUT})",
    )
    parser.add_argument(
        "--plots", type=Path, metavar="DIR", help="draw plots into DIR, as SVG (needs matplotlib)"
    )
    parser.add_argument(
        "--show",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="measure nothing: show earlier runs' JSON as one, and write it if --out says where",
    )
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    return parser


class _Parser(argparse.ArgumentParser):
    """Its errors are ours."""

    def error(self, message: str) -> NoReturn:
        raise BadArgument(f"{message}; see python -m benchmarks --help")


def _numbers(option: str, text: str, *, least: int, most: int) -> tuple[int, ...]:
    try:
        numbers = tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        raise BadArgument(f"{option} {text!r}: whole numbers with commas between them") from None
    for number in numbers:
        if not least <= number <= most:
            raise BadArgument(f"{option} {number}: from {least} to {most}")
    return numbers


def _check_target(out: Path) -> None:
    """A run of many minutes should not end at a folder that is not there."""
    if not out.parent.is_dir():
        raise BadArgument(f"--out {out}: there is no folder {out.parent}")


def _run(options: Options, command: str, *, in_this_process: bool) -> Report:
    began, started = time.monotonic(), datetime.now(UTC)
    report = Report(
        format=FORMAT,
        command=command,
        started=started.isoformat(timespec="seconds"),
        seconds=0.0,
        machine=machine.describe(),
        versions=machine.versions(),
        peers=presence(),
        options={name: getattr(options, name) for name in Options.__slots__},
        figures=[],
        facts=[],
        profiles=[],
        quoted=list(QUOTED),
    )
    if in_this_process:
        report.machine["pinned"] = machine.pin(options.threads[0])
        session = Session(options, options.threads[0])
        suites.run(session)
        report.figures, report.facts, report.profiles = session.figures, session.facts, session.profiles
    else:
        for threads in options.threads:
            part = _in_own_process(options, threads)
            report.machine["pinned"] = part.machine.get("pinned")
            report.figures += part.figures
            report.facts += part.facts
            report.profiles += part.profiles
    report.seconds = time.monotonic() - began
    return report


def _in_own_process(options: Options, threads: int) -> Report:
    """Libraries fix the size of their thread pools when they start: each number of threads starts anew."""
    with tempfile.TemporaryDirectory(prefix="kapok-benchmark-") as folder:
        out = Path(folder) / "part.json"
        command = [
            sys.executable,
            "-m",
            "benchmarks",
            "--alone",
            "--threads",
            str(threads),
            "--out",
            str(out),
        ]
        command += ["--suite", ",".join(options.suites), "--bits", ",".join(map(str, options.bits))]
        command += ["--seconds", str(options.seconds), "--repeats", str(options.repeats)]
        command += ["--short"] * options.short + ["--profile"] * options.profile
        command += ["--flights", options.flights] if options.flights else []
        environment = os.environ | {"RAYON_NUM_THREADS": str(threads)}
        status = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False).returncode
        if status != 0:
            raise BenchmarkError(f"the run with {threads} threads ended with status {status}")
        return Report.read(out)


def _finish(report: Report, out: Path | None, folder: Path | None) -> None:
    console = Console()
    # Tables that are written to a file or a log need not be as narrow as a terminal may be.
    tables.show(report, console if console.is_terminal else Console(width=_WIDTH))
    if out is not None:
        out.write_bytes(report.to_json())
        out.with_suffix(".md").write_text(tables.to_markdown(report), encoding="utf-8")
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        for path in plots.draw(report, folder):
            print(path)
