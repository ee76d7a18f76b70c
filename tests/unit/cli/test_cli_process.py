"""What every process of Kapok does to itself before anything else."""

import os
import subprocess
import sys

import pytest

_SAY = """
import sys
sys.argv = ["kapok", "--version"]
from kapok.cli import main
try:
    main()
except SystemExit:
    import os, numpy, threadpoolctl
    pools = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
    print(os.environ["OPENBLAS_NUM_THREADS"], *(pool["num_threads"] for pool in pools))
"""


@pytest.mark.parametrize(("given", "threads"), [({}, "1"), ({"OPENBLAS_NUM_THREADS": "2"}, "2")])
def test_blas_has_one_thread_unless_the_environment_says_otherwise(given, threads):
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", _SAY], env=kept | given, capture_output=True, text=True, check=True
    )
    told, *pools = done.stdout.splitlines()[-1].split()
    assert told == threads
    assert threads != "1" or set(pools) == {"1"}
