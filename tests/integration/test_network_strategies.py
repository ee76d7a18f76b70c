"""Six strategies over real nodes end where Flower's own simulation ends, with the same seeds.

Flower's engine needs Ray, which is large and no dependency: `pip install ray` where this is to run.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.apps import need_sandbox
from support.clinics import APP, STRATEGIES, clinics, document, rows_of

SUPPORT = Path(__file__).parents[1] / "support"
NAMES = ("ash", "birch", "cedar", "dogwood")
ROUNDS = 5


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """The file with all clinics' rows, in the order of their names."""
    file = tmp_path_factory.mktemp("rows") / "rows.npz"
    np.savez(file, **{str(place): rows_of(name) for place, name in enumerate(NAMES)})
    return file


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    need_sandbox()
    with clinics(tmp_path_factory.mktemp("clinics"), NAMES, "fixed") as network:
        yield network


def simulated(rows, strategy):
    """The model that Flower's engine ends with."""
    path = os.pathsep.join([str(SUPPORT / "clinic_data"), *filter(None, [os.environ.get("PYTHONPATH")])])
    config = (f"num-server-rounds={ROUNDS}", f"strategy='{strategy}'", f"min-nodes={len(NAMES)}")
    finished = subprocess.run(
        [sys.executable, str(SUPPORT / "flower_engine.py"), str(APP), str(len(NAMES)), *config],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": path, "CLINICS": str(rows)},
        check=False,
    )
    told = [line.split()[1:] for line in finished.stdout.splitlines() if line.startswith("model ")]
    assert told, finished.stderr
    return np.array([float(number) for number in told[0]])


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Flower's own simulation needs Ray")
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_strategy_ends_where_flowers_own_simulation_ends(network, rows, strategy):
    config = f"num-server-rounds={ROUNDS} strategy='{strategy}' min-nodes={len(NAMES)}"
    finished = network.kapok("fl", "run", str(APP), "--dataset", "clinics", "--run-config", config, "--json")
    assert finished.status == 0, finished.stderr
    with np.load(document(finished.stdout)["model"]) as file:
        model = file["model"]
    expected = simulated(rows, strategy)
    print(f"{strategy}: {model} here, off by {np.abs(model - expected).max():.2g}")
    assert np.abs(model - expected).max() <= 1e-6
    assert np.abs(model).max() > 0.01
