"""The command line: one noun-verb grammar, `--json` everywhere, documented exit statuses, never a traceback.

Modules here import little at their top: `kapok --help` must answer at once. A command imports what it
needs when it runs. What a command does is in `client`, `broker`, `nodes` and `authority`; here it is shown.

A module has the name of its command: `query`, `explain`, `job`, `key`, `dataset`, `cohort`, `fl`, `enroll`,
`authority`, `broker`, `node` with `node_apps`, `node_cohort` and `history`, `doctor`, `demo`; `analyses` are
`kapok glm`, `survival`, `cox`, `test`, `matrix` and `meta`, `training` is `kapok fl run`. Beside them:

    app, grammar, options    the whole grammar; how commands are made; what many of them take
    asking, answers, live    where a question comes from; its answer, on the terminal and in files; progress
    terminal, hints, extras  output, errors and exit statuses; commands in hints; what is to be installed
    examination              what `kapok doctor` looks at
    inspecting               what is in an app's bundle
    serving                  how a daemon runs
"""

from __future__ import annotations

import os
import resource
from typing import Final, NoReturn

__all__ = ["main"]

_BLAS_THREADS: Final = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def main() -> NoReturn:
    """Run the command line with the process's arguments, and exit with its status.

    NumPy's BLAS gets one thread, unless the environment says otherwise: Kapok multiplies narrow matrices, and
    further threads wait for such work by spinning, at the cost of everybody else on the machine.

    A process that dies leaves no core file: keys that exist in memory alone would lie on a disk.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for name in _BLAS_THREADS:
        os.environ.setdefault(name, "1")
    from kapok.cli.app import run

    raise SystemExit(run())
