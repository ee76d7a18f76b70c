"""What goes wrong, and how it is said: status, code, what to do, no traceback."""

import json
import re

import pytest

from kapok.demo.processes import call
from kapok.demo.scenario import TRUST_DOMAIN


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (["query", "SELECT AVG(agee) FROM heart"], 3, "unknown_column"),
        (["query", "SELECT MIN(age) FROM heart"], 3, "unknown_function"),
        (["query", "SELECT COUNT(*) FROM hart"], 5, "unknown_dataset"),
        (["query", "SELECT DISTINCT sex FROM heart"], 3, "unsupported_sql"),
        (["query", "SELECT COUNT(* FROM heart"], 3, "bad_sql"),
        (["query", "SELECT COUNT(*) FROM heart", "--at-least", "2"], 3, "bad_at_least"),
        (["query", "SELECT COUNT(*) FROM heart", "--deadline", "0"], 3, "bad_deadline"),
        (["query", "SELECT COUNT(*) FROM heart", "--party", "va"], 4, "too_few_organisations"),
        (["query", "SELECT COUNT(*) FROM heart", "--party", "atlantis"], 5, "unknown_party"),
        (["query", "SELECT COUNT(*) FROM heart", "--out", "answer.doc"], 3, "bad_out"),
        (["query", "SELECT COUNT(*) FROM heart", "--out", "/nowhere/answer.csv"], 3, "bad_out"),
        (["dataset", "show", "hart"], 5, "unknown_dataset"),
        (["dataset", "publish", "/nowhere/heart.toml"], 5, "no_such_file"),
        (["job", "show", "ffffffff"], 5, "unknown_job"),
        (["job", "wait", "not-a-job"], 3, "bad_job_id"),
    ],
)
def test_questions_that_cannot_be_asked(network, fails, arguments, status, code):
    finished = network.kapok(*arguments)
    fails(finished, status, code)
    assert "what to do" in finished.stderr
    assert finished.stdout == ""


def test_errors_are_told_in_json_too(network, fails):
    error = fails(network.kapok("query", "SELECT AVG(agee) FROM heart", "--json"), 3, "unknown_column")
    assert error["kind"] == "InvalidInput"
    assert "age" in error["remedy"]


def test_analyst_whom_no_policy_knows_is_refused_by_the_nodes(network, fails, tmp_path):
    home = tmp_path / "press"
    network.enrol(home, "analyst", "press", "desk", "--broker", network.broker.address)
    finished = network.kapok("query", "SELECT COUNT(*) FROM heart", "--seal", "pad", "--json", home=home)
    error = fails(finished, 4, json.loads(finished.stderr)["error"]["code"])
    assert error["party"].startswith(f"spiffe://{TRUST_DOMAIN}/org/")
    assert "/node/main" in error["party"]
    assert error["clause"]
    job = network.kapok("job", "list", "--json", home=home).document()["jobs"][0]
    assert job["state"] == "failed"
    assert job["refusals"]
    again = network.kapok("job", "wait", job["job"], home=home)
    fails(again, 4, error["code"])


def test_explain_says_what_a_question_would_meet_and_spends_nothing(network, tmp_path):
    sql = "SELECT sex, AVG(age) FROM heart GROUP BY sex"
    before = network.kapok("job", "list", "--json").document()["jobs"]
    allowed = network.kapok("explain", sql, "--json").document()
    assert allowed["allowed"]
    assert [one["approval"] for one in allowed["opinions"]] == ["automatic"] * 4
    assert (allowed["silent"], allowed["columns"]) == ([], ["age", "sex"])
    shown = network.kapok("explain", sql)
    assert shown.status == 0
    assert shown.stdout.count(" allow") == 4
    home = tmp_path / "curious"
    network.enrol(home, "analyst", "curious", "desk", "--broker", network.broker.address)
    told = network.kapok("explain", sql, "--seal", "pad", "--json", home=home).document()
    assert not told["allowed"]
    for one in told["opinions"]:
        assert (one["allowed"], one["refusal"]["clause"]) == (False, "policy.analysts")
        assert one["refusal"]["remedy"]
    assert network.kapok("job", "list", "--json").document()["jobs"] == before


def test_analysts_see_their_own_jobs_only(network, fails, tmp_path):
    home = tmp_path / "other"
    network.enrol(home, "analyst", "other", "desk", "--broker", network.broker.address)
    assert network.kapok("job", "list", "--json", home=home).document() == {"jobs": []}
    assert network.kapok("job", "list", "--json").document()["jobs"]


def test_spent_token_is_refused_and_its_owner_may_repeat(network, fails, tmp_path):
    token = network.token("analyst", "press", "twice", "--broker", network.broker.address)
    assert call(["enroll", "-"], tmp_path / "one", given=token).status == 0
    stolen = call(["enroll", "-"], tmp_path / "two", given=token)
    fails(stolen, 8, "token_spent")
    assert token not in stolen.stderr
    again = call(["enroll", "-"], tmp_path / "one", given=token)
    fails(again, 3, "already_enrolled")
    fails(call(["enroll", "kapok1.nonsense"], tmp_path / "three"), 8, "bad_token")


def test_folder_of_another_trust_domain_is_refused_before_a_question_leaves(network, fails, tmp_path):
    authority, home = tmp_path / "authority", tmp_path / "home"
    assert call(["authority", "init", TRUST_DOMAIN, "--listen", "127.0.0.1:0"], authority).status == 0
    own = network.analyst / "identity"
    (home / "identity").mkdir(parents=True, mode=0o700)
    for name in ("key.pem", "certificate.pem"):
        (home / "identity" / name).write_bytes((own / name).read_bytes())
        (home / "identity" / name).chmod(0o600)
    (home / "identity" / "root.pem").write_bytes((authority / "identity" / "root.pem").read_bytes())
    (home / "analyst.toml").write_text((network.analyst / "analyst.toml").read_text())
    finished = network.kapok("job", "list", home=home)
    fails(finished, 8, re.search(r"\[(\w+)\]", finished.stderr).group(1))


def test_port_in_use_is_said(network, fails, tmp_path):
    home = tmp_path / "second"
    network.enrol(home, "broker", "exchange", "second")
    settings = (home / "broker.toml").read_text()
    taken = settings.replace('listen = "127.0.0.1:7443"', f'listen = "{network.broker.address}"')
    assert taken != settings
    (home / "broker.toml").write_text(taken)
    fails(call(["broker", "run"], home), 3, "port_in_use")


def test_second_daemon_over_one_folder_is_refused(network, fails):
    fails(call(["broker", "run"], network.broker.home), 3, "already_running")
    fails(call(["node", "run"], network.nodes["va"].home), 3, "already_running")


def test_wrong_folder_is_said(network, fails):
    fails(network.kapok("job", "list", home=network.nodes["va"].home), 5, "no_profile")
    fails(call(["node", "run"], network.analyst), 3, "wrong_role")
    fails(call(["broker", "run"], network.analyst), 3, "wrong_role")


def test_node_check_tells_what_is_wrong_with_data_and_never_a_cell(network, fails, tmp_path):
    home, source = tmp_path / "va", network.nodes["va"].home
    good = call(["node", "check", "--json"], source)
    assert good.status == 0, good.stderr
    assert good.document()["ok"] is True
    home.mkdir()
    for name in ("identity", "state"):
        (home / name).symlink_to(source / name)
    (home / "policy.toml").write_text((source / "policy.toml").read_text())
    (home / "node.toml").write_text((source / "node.toml").read_text())
    rows = (source / "processed.va.data").read_text().splitlines()
    cells = rows[0].split(",")
    (home / "processed.va.data").write_text("\n".join([",".join(["4711", *cells[1:]]), *rows[1:]]))
    bad = call(["node", "check"], home)
    fails(bad, 3, "check_failed")
    assert "asset    heart: 200 rows" in bad.stdout
    assert "age" in bad.stdout
    assert "4711" not in bad.stdout + bad.stderr
