"""Makes `sdk/kapok/wire/v1` from `proto/`; with `--check`, says whether what is checked in is what it would
make.

Run through `make gen` and `make lint`. grpcio-tools is pinned: generated code refuses a protobuf runtime
older than its generator, and Kapok supports protobuf from 6.31.1 on.
"""

from __future__ import annotations

import argparse
import difflib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROTO = ROOT / "proto"
PACKAGE = Path("kapok/wire/v1")
CHECKED_IN = ROOT / "sdk" / PACKAGE
DOCSTRING = (
    '"""Generated from proto/ by `make gen`: never edited by hand, imported by `kapok.wire` alone."""\n'
)


def generate(target: Path) -> None:
    """Run protoc over every file of `proto/kapok/wire/v1`; `target` is the folder that stands for `sdk`."""
    sources = sorted(path.relative_to(PROTO).as_posix() for path in (PROTO / PACKAGE).glob("*.proto"))
    if not sources:
        raise SystemExit(f"no .proto file under {PROTO / PACKAGE}")
    outputs = [
        f"--{kind}={target}" for kind in ("python_out", "grpc_python_out", "mypy_out", "mypy_grpc_out")
    ]
    # The mypy plug-ins lie beside this interpreter, which need not be first on the caller's PATH.
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    subprocess.run(
        [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={PROTO}", *outputs, *sources],
        check=True,
        env={**os.environ, "PATH": path},
        capture_output=True,
    )
    (target / PACKAGE / "__init__.py").write_text(DOCSTRING, encoding="utf-8")


def contents(folder: Path) -> dict[str, list[str]]:
    """Every file of the folder by name, as lines; caches left out."""
    return {
        path.name: path.read_text(encoding="utf-8").splitlines()
        for path in sorted(folder.glob("*"))
        if path.is_file()
    }


def differences(made: dict[str, list[str]], checked_in: dict[str, list[str]]) -> list[str]:
    """A unified diff, empty when both are the same."""
    lines: list[str] = []
    for name in sorted({*made, *checked_in}):
        lines += difflib.unified_diff(
            checked_in.get(name, []),
            made.get(name, []),
            f"checked in/{name}",
            f"proto/ says/{name}",
            "",
            "",
            1,
            "",
        )
    return lines


def main() -> int:
    """Generate, or compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="change nothing; fail when the result would differ"
    )
    check: bool = parser.parse_args().check
    with tempfile.TemporaryDirectory() as scratch:
        try:
            generate(Path(scratch))
        except subprocess.CalledProcessError as failed:
            sys.stderr.write(failed.stderr.decode(errors="replace"))
            return 1
        if check:
            found = differences(contents(Path(scratch) / PACKAGE), contents(CHECKED_IN))
            if found:
                print("\n".join(found[:40]))
                print("sdk/kapok/wire/v1 is not what proto/ says: run `make gen` and commit the result")
            return 1 if found else 0
        shutil.rmtree(CHECKED_IN, ignore_errors=True)
        shutil.copytree(Path(scratch) / PACKAGE, CHECKED_IN)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
