"""Atheris drives the targets: libFuzzer alters inputs and keeps those that reach new branches.

    python tests/fuzz/drive.py [--seconds 60] [TARGET…]

All targets together take so many seconds, and each at least two. What is found lies in `.fuzz/`: in `corpus/`
inputs that reach something new, from which the next run goes on, and beside it those that broke something. A
hang is more than 60 s for one input, too much memory more than 2 GiB.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))
with atheris.instrument_imports(include=["kapok"], enable_loader_override=False):
    from fuzz.targets import CORPUS, TARGETS, is_told

FOUND = Path(".fuzz")


def main() -> int:
    """Run the targets, each in a process of its own; return how many broke."""
    parser = argparse.ArgumentParser()
    parser.add_argument("targets", nargs="*", choices=[[], *TARGETS], help="all of them by default")
    parser.add_argument("--seconds", type=int, default=60, help="for all targets together")
    given = parser.parse_args()
    targets = given.targets or list(TARGETS)
    each = max(2, given.seconds // len(targets))
    broken = [target for target in targets if not run(target, each)]
    print(f"{len(targets)} targets, {each} s each; broken: {', '.join(broken) or 'none'}")
    return len(broken)


def run(target: str, seconds: int) -> bool:
    """Fuzz one target for so long; return whether nothing broke."""
    child = os.fork()
    if child == 0:
        fuzz(target, seconds)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == 0


def fuzz(target: str, seconds: int) -> None:
    """The child's whole life."""
    kept = FOUND / "corpus" / target
    kept.mkdir(parents=True, exist_ok=True)

    def once(raw: bytes) -> None:
        try:
            TARGETS[target](raw)
        except Exception as error:
            if not is_told(error):
                raise

    options = [
        f"-max_total_time={seconds}",
        "-timeout=60",
        "-rss_limit_mb=2048",
        "-max_len=65536",
        "-print_final_stats=0",
        "-verbosity=0",
        f"-artifact_prefix={FOUND / target}-",
    ]
    atheris.Setup([sys.argv[0], *options, str(kept), str(CORPUS / target)], once)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
