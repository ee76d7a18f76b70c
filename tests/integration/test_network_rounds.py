"""A median over real processes: round after round, with everybody killed in between."""

import sqlite3
from contextlib import closing

MEDIAN = "SELECT COUNT(*), MEDIAN(age) FROM heart"
TRUTH = [[920, 54.0]]


def round_of(network, job):
    uri = f"{(network.broker.home / 'broker.db').as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        return connection.execute("SELECT round FROM job WHERE id = ?", (job,)).fetchone()[0]


def restart(process):
    process.kill()
    process.start()
    process.wait_ready()


def test_a_median_is_that_of_the_pooled_data(network):
    finished = network.kapok("query", MEDIAN, "--json")
    assert finished.status == 0, finished.stderr
    assert finished.document()["rows"] == TRUTH
    shown = network.kapok("job", "show", finished.document()["job"], "--json").document()
    assert (shown["state"], shown["round"], shown["rounds"]) == ("opened", 4, 4)


def test_a_job_between_rounds_survives_its_analyst_the_broker_and_a_node(
    network, begin, until, job_state, fails
):
    submitted = network.kapok("query", MEDIAN, "--detach", "--json").document()
    assert submitted["rounds"] == 4
    job = submitted["job"]
    until(lambda: job_state(job) == "steering")
    fails(network.kapok("job", "result", job), 6, "not_ready")
    waiting = begin(network.analyst, "job", "wait", job)
    until(lambda: round_of(network, job) > 1 or waiting.poll() is not None)
    waiting.kill()
    waiting.communicate()
    restart(network.broker)
    restart(network.nodes["va"])
    restart(network.broker)
    finished = network.kapok("job", "wait", job, "--json")
    assert finished.status == 0, finished.stderr
    assert finished.document()["rows"] == TRUTH
    assert job_state(job) in ("finished", "summed")
