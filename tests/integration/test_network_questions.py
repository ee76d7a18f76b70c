"""Questions and their answers, by command line and in Python, over real processes."""

import asyncio
import csv
import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
import pytest

import kapok.client
from kapok.demo.hospitals import HOSPITALS, QUESTIONS
from kapok.demo.story import ask

HIDDEN = (
    set(),
    set(),
    # Few of the first kinds of pain at some hospital, and what would give these back.
    {(row, column) for row in (0, 1, 2) for column in ("count", "avg_oldpeak", "count_ca")}
    | {(3, "count_ca")},
)
PARTIES = sorted(hospital.party for hospital in HOSPITALS)


@pytest.mark.parametrize(("number", "seal"), [(0, "paillier"), (1, "paillier"), (2, "paillier"), (2, "pad")])
def test_answers_agree_with_the_pooled_truth_and_small_cells_are_hidden(network, number, seal):
    asked = ask(network, QUESTIONS[number], "--seal", seal)
    assert asked.comparison.agree
    assert asked.comparison.max_abs_difference < 1e-9
    assert {(row, column) for row, column in asked.answer["suppressed"]} == HIDDEN[number]
    assert asked.comparison.shown + asked.comparison.suppressed == [4, 6, 12][number]
    assert sorted(party["name"] for party in asked.answer["parties"]) == PARTIES
    assert len({party["data_version"] for party in asked.answer["parties"]}) == 4
    assert asked.answer["sealed_bytes"] > 0
    assert "kapok query" not in asked.shown
    assert ("suppressed" in asked.shown) == bool(HIDDEN[number])


def test_json_is_one_document(network):
    finished = network.kapok("query", QUESTIONS[1], "--json")
    assert finished.status == 0
    assert finished.stderr == ""
    document = finished.document()
    assert document["columns"] == ["sex", "count", "avg_age", "avg_thalach"]
    assert document["rows"][1][:2] == [1, 726]
    assert {"asking", "gathering", "sealing", "releasing", "opening"} >= document["stages"].keys() - {
        "submitted"
    }


def test_answers_go_into_files(network, tmp_path):
    sql = "SELECT sex, COUNT(*), SUM(oldpeak) FROM heart GROUP BY sex"
    files = {ending: tmp_path / f"answer.{ending}" for ending in ("csv", "json", "arrow", "parquet")}
    job = network.kapok("query", sql, "--json", "--out", str(files["csv"])).document()["job"]
    for ending in ("json", "arrow", "parquet"):
        assert network.kapok("job", "result", job, "--out", str(files[ending])).status == 0
    with files["csv"].open(newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows[0] == ["sex", "count", "sum_oldpeak", "suppressed"]
    # Six women at one hospital, of whom few have an oldpeak that is not zero.
    assert rows[1:] == [["0", "194", "", "sum_oldpeak"], ["1", "726", "", "sum_oldpeak"]]
    assert json.loads(files["json"].read_text())["job"] == job
    arrow = pa.ipc.open_file(files["arrow"].read_bytes()).read_all()
    assert arrow.column("count").to_pylist() == [194, 726]
    assert arrow.column("sum_oldpeak").to_pylist() == [None, None]
    assert pa.parquet.read_table(files["parquet"]).equals(arrow)


def test_detached_job_is_waited_for_shown_listed_and_kept(network):
    sql = "SELECT COUNT(*) FROM heart WHERE age < 60"
    job = network.kapok("query", sql, "--detach").stdout.strip()
    assert len(job) == 64
    waited = network.kapok("job", "wait", job[:12], "--json").document()
    assert waited["job"] == job
    assert network.kapok("job", "result", job, "--json").document() == waited
    shown = network.kapok("job", "show", job[:8], "--json").document()
    assert (shown["state"], shown["question"]) == ("opened", sql)
    assert sorted(shown["members"]) == PARTIES
    listed = network.kapok("job", "list", "--json").document()["jobs"]
    assert listed[0]["job"] == job
    record = network.analyst / "jobs" / f"{job}.json"
    kept = json.loads(record.read_text())
    assert kept["receiver_key"] is None
    assert kept["tag_seed"] is None
    assert record.stat().st_mode & 0o077 == 0


def test_every_line_about_a_job_says_of_which(network):
    daemons = (network.broker, *network.nodes.values())
    before = {daemon: len(daemon.log_entries()) for daemon in daemons}
    job = network.kapok("query", "SELECT COUNT(*) FROM heart WHERE age < 61", "--json").document()["job"]
    rooms = ("kapok.broker.computation", "kapok.nodes.runner")
    steps = {"job opening", "job completion", "job summing"}
    for daemon in daemons:
        lines = [one for one in daemon.log_entries()[before[daemon] :] if one["logger"].startswith(rooms)]
        assert {one["job"] for one in lines} == {job}
        expected = steps if daemon is network.broker else {"consented", "sealed", "released"}
        assert {one["message"] for one in lines} >= expected


def test_python_without_await_works_beside_a_running_loop(network):
    async def notebook() -> list[tuple[object, ...]]:
        await asyncio.sleep(0)
        with kapok.client.connect(network.analyst) as session:
            result = session.query("SELECT COUNT(*), AVG(age) FROM heart")
            assert result.to_pandas()["count"].tolist() == [920]
            assert "<table>" in result._repr_html_()
            return result.rows

    assert asyncio.run(notebook())[0][0] == 920


async def test_python_with_await(network):
    told = []
    async with await kapok.client.connect_async(network.analyst) as session:
        result = await session.query("SELECT COUNT(*) FROM heart", seal="pad", progress=told.append)
        assert result.rows == [(920,)]
        assert told[0].text.startswith("asking 4 nodes: cleveland/main, ")
        assert told[2].step == "submitted"
        assert told[-1].step == "opening"
        assert (await session.result(result.job_id)).rows == result.rows
        assert [one.label.split("@")[0] for one in await session.datasets("heart")] == ["heart"]
        assert await session.datasets("nothing") == []


def test_two_questions_at_once(network, begin):
    homes = [begin(network.analyst, "query", QUESTIONS[0], "--json") for _ in range(2)]
    answers = [json.loads(process.communicate(timeout=60)[0]) for process in homes]
    assert answers[0]["rows"] == answers[1]["rows"]
    assert answers[0]["job"] != answers[1]["job"]


def test_dataset_can_be_named_by_its_hash(network):
    finished = network.kapok("query", f'SELECT COUNT(*) FROM "heart@{network.dataset_hash[:8]}"', "--json")
    assert finished.document()["rows"] == [[920]]


def test_the_example_runs(network):
    """What examples/ shows works as it stands, in a process of its own."""
    script = Path(__file__).parents[2] / "examples" / "age_by_chest_pain.py"
    done = subprocess.run(
        [sys.executable, str(script), str(network.analyst)], capture_output=True, text=True, check=True
    )
    *rows, parties = done.stdout.splitlines()
    assert len(rows) == 4
    assert all(name in parties for name in ("cleveland", "hungarian", "switzerland", "va"))


SEEN_IMPORTING = """
import asyncio, json, sys, threading

class Finder:
    def find_spec(self, name, path=None, target=None):
        if threading.current_thread() is not threading.main_thread():
            found.append(name)

found = []
sys.meta_path.insert(0, Finder())
import kapok.client

async def ask(home, job):
    async with await kapok.client.connect_async(home) as session:
        if job:
            await session.result(job)
            return
        await session.query("SELECT COUNT(*) FROM heart WHERE age > 51")
        await session.glm("num > 0 ~ age", dataset="heart")
        job = await session.submit("SELECT COUNT(*) FROM heart WHERE age > 52")
        while (await session.job(job)).state != "summed":
            await asyncio.sleep(0.05)
        return job

print(json.dumps([asyncio.run(ask(*sys.argv[1:])), found]))
"""


def test_threads_import_nothing_that_others_may_import_at_the_same_time(network):
    """Else one may find a module that is not yet whole: that was an ImportError, once in hundreds of runs."""
    job = ""
    for _ in ("asks", "opens what another has asked"):
        command = [sys.executable, "-c", SEEN_IMPORTING, str(network.analyst), job]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        job, found = json.loads(done.stdout)
        shared = ("kapok", "numpy", "pyarrow", "sqlglot")
        assert not [name for name in found if name.startswith(shared)]
