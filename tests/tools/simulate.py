"""Play seeds of the whole-system simulation, and say of each that fails what happened.

python tests/tools/simulate.py 17            one seed, for instance the one that a test has named
python tests/tools/simulate.py 0:5000        many
python tests/tools/simulate.py 17 --trace    with its trace, though it does not fail
python tests/tools/simulate.py 0:100 --break defect    how many notice it (`support.simulated.mutations`)
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.simulated.mutations import MUTATIONS, Mutation
from support.simulated.storm import Wrong, run
from support.simulated.world import Ground


def seeds(text: str) -> range:
    """``17`` or ``0:5000``."""
    first, colon, end = text.partition(":")
    return range(int(first), int(end) if colon else int(first) + 1)


def noticed(ground: Ground, tried: range, mutation: Mutation) -> int:
    """Count the seeds in which the invariant that should notice a breakage does; fail if none does."""
    found: Counter[bool] = Counter()
    try:
        with mutation.made():
            for seed in tried:
                found[any(mutation.caught in wrong for wrong in run(ground, seed).wrong)] += 1
    finally:
        ground.clear()
    print(f"{mutation.what}: {mutation.caught!r} in {found[True]} of {len(tried)} seeds")
    return not found[True]


def main() -> int:
    """Play what is asked for; fail if a seed does."""
    parser = argparse.ArgumentParser(description="Play seeds of the whole-system simulation.")
    parser.add_argument("seeds", type=seeds, help="one seed, or FIRST:END")
    parser.add_argument("--trace", action="store_true", help="show what happened, whether it failed or not")
    parser.add_argument("--break", dest="broken", choices=MUTATIONS, help="in how many seeds this is noticed")
    asked = parser.parse_args()
    ground, began = Ground(), time.monotonic()
    if asked.broken:
        return noticed(ground, asked.seeds, MUTATIONS[asked.broken])
    answers = events = failed = 0
    reasons: Counter[str] = Counter()
    try:
        for seed in asked.seeds:
            outcome = run(ground, seed)
            answers, events = answers + outcome.answers, events + len(outcome.lines)
            reasons += outcome.reasons
            if asked.trace:
                print("\n".join(outcome.lines))
            try:
                outcome.check()
            except Wrong as wrong:
                failed += 1
                print(wrong if not asked.trace else "\n".join(outcome.wrong))
    finally:
        ground.clear()
    count, took_s = len(asked.seeds), time.monotonic() - began
    print(
        f"{count} seeds, {events} events, {count / took_s:.2f} seeds/s: {answers} jobs answered, "
        f"{reasons.total()} ended for a reason ({dict(reasons.most_common())}), {failed} seeds failed"
    )
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
