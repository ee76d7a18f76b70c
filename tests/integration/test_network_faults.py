"""Processes that die, come back, hang, or wait for a person: nothing is lost and nothing hangs for ever."""

import json
import re
import shutil
import signal
import socket

from kapok.demo.hospitals import QUESTIONS, Rules
from kapok.demo.processes import call
from kapok.nodes.approvals import pending

COUNT = "SELECT COUNT(*) FROM heart"


def answers(network) -> bool:
    finished = network.kapok("query", COUNT, "--json")
    assert finished.status == 0, finished.stderr
    return finished.document()["rows"] == [[920]]


def restart(network, *names: str) -> None:
    for name in names:
        network.nodes[name].start()
        network.nodes[name].wait_ready()


def test_killed_node_resumes(network):
    network.nodes["va"].kill()
    restart(network, "va")
    assert answers(network)


def test_killed_broker_resumes_with_its_jobs(network):
    job = network.kapok("query", QUESTIONS[1], "--json").document()["job"]
    network.broker.kill()
    network.broker.start()
    network.broker.wait_ready()
    assert answers(network)
    jobs = network.kapok("job", "list", "--json").document()["jobs"]
    assert job in [one["job"] for one in jobs]


def test_job_asked_while_a_node_is_down_ends_named_at_its_deadline(network, fails):
    network.nodes["switzerland"].stop()
    try:
        finished = network.kapok("query", COUNT, "--deadline", "3", "--json")
        error = fails(finished, 6, "deadline_passed")
        assert error["party"] is None  # no node has signed this
        assert "the broker waited for switzerland/main" in error["message"]
    finally:
        restart(network, "switzerland")
    assert answers(network)


def test_ctrl_c_leaves_the_job_going_and_says_how_to_take_it(network, begin, until, job_state):
    network.nodes["hungarian"].stop()
    try:
        process = begin(network.analyst, "query", COUNT)
        known = {path.stem for path in (network.analyst / "jobs").glob("*.json")}
        until(lambda: {path.stem for path in (network.analyst / "jobs").glob("*.json")} - known)
        (job,) = {path.stem for path in (network.analyst / "jobs").glob("*.json")} - known
        until(lambda: job_state(job) == "gathering")
        until(lambda: "waiting" in process.stderr.readline())
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)
        assert process.returncode == 130
        assert stdout == ""
        assert f"kapok job wait {job[:12]}" in stderr
        assert "Traceback" not in stderr
        waiting = network.kapok("job", "show", job, "--json").document()
        assert waiting["waiting_for"] == ["spiffe://demo.kapok.example/org/hungarian/node/main"]
    finally:
        restart(network, "hungarian")
    assert network.kapok("job", "wait", job, "--json").document()["rows"] == [[920]]


def test_cancelled_job_ends_everywhere(network, fails, until, job_state):
    network.nodes["hungarian"].stop()
    try:
        job = network.kapok("query", COUNT, "--detach", "--json").document()["job"]
        fails(network.kapok("job", "result", job), 6, "not_ready")
        assert network.kapok("job", "cancel", job).status == 0
        assert job_state(job) == "cancelled"
        fails(network.kapok("job", "wait", job), 5, "no_answer")
        assert json.loads((network.analyst / "jobs" / f"{job}.json").read_text())["receiver_key"] is None
    finally:
        restart(network, "hungarian")
    assert answers(network)


def test_manual_approval_shows_words_and_never_a_count(network, fails, until):
    node = network.nodes["cleveland"]
    policy = node.home / "policy.toml"
    before = policy.read_text()
    node.stop()
    policy.write_text(Rules(approval="manual").policy())
    restart(network, "cleveland")
    try:
        sql = "SELECT sex, AVG(age) FROM heart WHERE age > 40 GROUP BY sex"
        job = network.kapok("query", sql, "--detach", "--deadline", "120").stdout.strip()
        until(lambda: pending(node.home))
        (shown,) = call(["node", "pending", "--json"], node.home).document()["pending"]
        assert shown["job"] == job
        assert "age" in shown["in_words"]
        assert shown["analyst"].endswith("/org/university/analyst/research")
        assert len(shown["cohort"]["names"][0]) == 4
        words = call(["node", "pending"], node.home).stdout
        assert "kapok node approve" in words
        assert not re.search(r"\b303\b", words)  # the hospital's rows; a job's identity may have the digits
        assert call(["node", "approve", job[:12], "--yes"], node.home).status == 0
        assert network.kapok("job", "wait", job, "--json").status == 0
        refused = network.kapok("query", COUNT, "--detach", "--deadline", "120").stdout.strip()
        until(lambda: pending(node.home))
        assert call(["node", "deny", refused], node.home).status == 0
        fails(network.kapok("job", "wait", refused), 4, "approval_denied")
        fails(call(["node", "approve", refused, "--yes"], node.home), 3, "not_pending")
    finally:
        node.stop()
        policy.write_text(before)
        restart(network, "cleveland")
    assert answers(network)


def test_broker_out_of_reach_is_said(network, fails, tmp_path):
    home = tmp_path / "analyst"
    shutil.copytree(network.analyst, home)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        settings = (
            (home / "analyst.toml")
            .read_text()
            .replace(network.broker.address, f"127.0.0.1:{unused.getsockname()[1]}")
        )
    (home / "analyst.toml").write_text(settings.replace("patience_s = 10", "patience_s = 0"))
    fails(network.kapok("query", COUNT, home=home), 6, "nobody_answers")
