"""A Flower app over real processes: the model of the same training elsewhere, whoever is killed meanwhile."""

import sqlite3
import sys
from contextlib import closing
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from kapok.demo.hospitals import HOSPITALS
from kapok.documents.bundle import read_bundle
from kapok.flower.building import build_bundle
from kapok.nodes.apps.sandbox import check_sandbox

APP = Path(__file__).parents[2] / "examples" / "heart_flower"


@pytest.fixture(scope="module")
def task():
    """The app's own data and model, as any script would use them."""
    sys.path.insert(0, str(APP))
    try:
        from heart_flower import task
    finally:
        sys.path.remove(str(APP))
    return task


@pytest.fixture(scope="module")
def pooled(task):
    """The training as a loop over four files: what the network's must come to."""
    names = ("age", "sex", "cp", "trestbps", "chol", "fbs", "restecg", "thalach", "exang", "oldpeak")
    names = (*names, "slope", "ca", "thal", "num")

    hospitals = []
    for hospital in HOSPITALS:
        text = files("kapok.demo.heart").joinpath(f"processed.{hospital.name}.data").read_text()
        rows = [
            [float("nan") if cell == "?" else float(cell) for cell in line.split(",")]
            for line in text.split()
        ]
        hospitals.append(task.prepare(dict(zip(names, np.array(rows).T, strict=True))))

    def run(rounds, seed=42):
        weights, bias = task.initial(seed)
        for number in range(1, rounds + 1):
            trained = []
            for (x, y), _ in hospitals:
                options = {"rate": 0.01, "steps": 100, "batch": 4, "seed": seed, "number": number}
                trained.append((len(x), *task.train(x, y, weights, bias, **options)))
            examples = sum(one[0] for one in trained)
            weights = sum(n * w for n, w, _ in trained) / examples
            bias = sum(n * b for n, _, b in trained) / examples
        right = sum(((task.probability(x, weights, bias) > 0.5) == y).sum() for _, (x, y) in hospitals)
        return weights, bias, right / sum(len(y) for _, (_, y) in hospitals)

    return run


@pytest.fixture(scope="module")
def approved(network, tmp_path_factory):
    """Each hospital's officer has the app's bundle, and approves it."""
    try:
        check_sandbox()
    except Exception as error:
        pytest.skip(f"apps cannot be shut in here: {error}")
    content = build_bundle(APP)
    file, digest = tmp_path_factory.mktemp("app") / "heart.fab", read_bundle(content).hash
    file.write_bytes(content)
    approval = (
        "--analyst",
        "org/university/analyst/*",
        "--columns",
        "*",
        "--allow",
        "num-server-rounds=1..100",
    )
    for node in network.nodes.values():
        added = network.kapok("node", "apps", "add", str(file), home=node.home)
        assert added.status == 0, added.stderr
        decided = network.kapok("node", "approve", "app", digest, *approval, "--yes", home=node.home)
        assert decided.status == 0, decided.stderr
    return digest


def arguments(rounds):
    return ("fl", "run", str(APP), "--dataset", "heart", "--run-config", f"num-server-rounds={rounds}")


def round_of(network, job):
    uri = f"{(network.broker.home / 'broker.db').as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        row = connection.execute("SELECT round FROM job WHERE id = ?", (job,)).fetchone()
        return row[0] if row else 0


def newest_job(network):
    uri = f"{(network.broker.home / 'broker.db').as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        return connection.execute("SELECT id FROM job ORDER BY submitted_at DESC LIMIT 1").fetchone()[0]


def restart(process):
    process.kill()
    process.start()
    process.wait_ready()


def test_an_app_that_nobody_has_approved_is_refused(network, fails):
    refused = network.kapok(*arguments(1), "--deadline", "60")
    fails(refused, 4, "app_not_approved")


def test_a_training_ends_with_the_model_that_it_ends_with_elsewhere(network, approved, pooled, tmp_path):
    model, history = tmp_path / "model.npz", tmp_path / "history.csv"
    finished = network.kapok(*arguments(3), "--json", "--model", str(model), "--out", str(history))
    assert finished.status == 0, finished.stderr
    weights, bias, accuracy = pooled(3)
    with np.load(model) as found:
        assert np.abs(found["weights"] - weights).max() < 1e-9
        assert np.abs(found["bias"] - bias).max() < 1e-9
    document = finished.document()
    rows = [dict(zip(document["columns"], row, strict=True)) for row in document["rows"]]
    assert [(row["exchange"], row["kind"]) for row in rows] == [
        (number, ("evaluate", "train")[number % 2]) for number in range(1, 7)
    ]
    assert rows[-1]["accuracy"] == pytest.approx(accuracy, abs=1e-9)
    assert rows[-1]["examples"] == 254
    assert rows[0]["examples"] == 486
    assert history.read_text().startswith("exchange,kind,nodes,examples,")
    again = network.kapok("job", "result", document["job"], "--json")
    assert again.document()["rows"] == document["rows"]


def test_a_training_goes_on_whoever_was_killed(network, approved, pooled, begin, until, tmp_path):
    before, running = newest_job(network), begin(network.analyst, *arguments(4))
    job = until(lambda: (found := newest_job(network)) != before and found)
    until(lambda: round_of(network, job) > 2 or running.poll() is not None)
    running.kill()
    running.communicate()
    restart(network.nodes["va"])
    restart(network.broker)
    resuming = begin(network.analyst, "job", "resume", job)
    until(lambda: round_of(network, job) > 4 or resuming.poll() is not None)
    restart(network.nodes["cleveland"])
    resuming.kill()
    resuming.communicate()
    model = tmp_path / "model.npz"
    finished = network.kapok("job", "resume", job, "--json", "--model", str(model))
    assert finished.status == 0, finished.stderr
    weights, bias, _ = pooled(4)
    with np.load(model) as found:
        assert np.abs(found["weights"] - weights).max() < 1e-9
        assert np.abs(found["bias"] - bias).max() < 1e-9
    assert len(finished.document()["rows"]) == 8
