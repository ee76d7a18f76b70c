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


def test_a_process_that_dies_leaves_no_core_file_with_what_is_in_memory_alone(tmp_path):
    """Neither the limit nor what might lift it is left."""
    raised = _SAY.replace("import sys", "import resource, sys", 1).partition("    import os, numpy")[0]
    code = raised + "    print(*resource.getrlimit(resource.RLIMIT_CORE))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "0 0"
