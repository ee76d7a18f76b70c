"""node.toml and policy.toml: every value documented, every slip named."""

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from kapok.computations.engines import Dominance, Thresholds
from kapok.errors import InvalidInput, NotFound
from kapok.nodes.apps.approval import AppRule
from kapok.nodes.apps.limits import AppLimits
from kapok.nodes.policy import Policy, Rule, load_policy
from kapok.nodes.settings import (
    AppSettings,
    CsvSource,
    DatasetEntry,
    EngineLimits,
    NodeSettings,
    PostgresSource,
    QuerySource,
    load_settings,
    template,
)
from kapok.nodes.wording import policy_in_words

HASH = "ab" * 32
SETTINGS = f"""
broker = "broker.example.org:7443"
[datasets.heart]
hash = "{HASH}"
[datasets.heart.source]
format = "csv"
path = "patients.csv"
"""
RULE = """
[[rule]]
analysts = ["spiffe://kapok.test/org/university/analyst/*"]
dataset = "heart"
operations = ["count", "sum"]
columns = ["age"]
questions = 10
min_rows = 20
min_cell = 5
"""


def settings(tmp_path, text):
    (tmp_path / "node.toml").write_text(text)
    return load_settings(tmp_path)


def policy(tmp_path, text):
    (tmp_path / "policy.toml").write_text(text)
    return load_policy(tmp_path)


def test_paths_begin_at_the_settings_folder(tmp_path):
    found = settings(tmp_path, SETTINGS)
    assert found.state_folder == tmp_path / "state"
    assert found.instance_file == tmp_path / "instance"
    assert found.datasets["heart"] == DatasetEntry(HASH, CsvSource(tmp_path / "patients.csv"), "heart")


def uncommented(text: str) -> str:
    """The template with every documented value switched on."""
    keys = r"(\[|[a-z_]+ = |\"spiffe)"
    return re.sub(rf"(?m)^# (?={keys})", "", text).replace("@BROKER_ADDRESS@", "localhost:1")


def test_the_templates_load_as_they_are(tmp_path):
    found = settings(tmp_path, template("node.toml").replace("@BROKER_ADDRESS@", "localhost:7443"))
    assert found == settings(tmp_path, 'broker = "localhost:7443"')
    assert policy(tmp_path, template("policy.toml")) == Policy()


def test_the_templates_document_every_value_with_its_default(tmp_path):
    found = settings(tmp_path, uncommented(template("node.toml")))
    assert found.datasets["heart"].source.columns == ("age", "sex")
    raw = tomllib.loads(uncommented(template("node.toml")))
    entries = [*raw["datasets"].values()]
    documented = set().union(
        raw, raw["engine"], raw["apps"], *entries, *(entry["source"] for entry in entries)
    )
    wanted = {
        field.name
        for struct in (
            NodeSettings,
            EngineLimits,
            AppSettings,
            DatasetEntry,
            CsvSource,
            QuerySource,
            PostgresSource,
        )
        for field in msgspec.structs.fields(struct)
    }
    assert documented - {"format"} == wanted
    assert {type(entry.source) for entry in found.datasets.values()} == {
        CsvSource,
        QuerySource,
        PostgresSource,
    }
    [app] = tomllib.loads(uncommented(template("policy.toml")))["app"]
    assert set(app) == {field.name for field in msgspec.structs.fields(AppRule)}
    assert set(app["limits"]) == {field.name for field in msgspec.structs.fields(AppLimits)}
    [found_app] = policy(tmp_path, uncommented(template("policy.toml"))).app
    assert (found_app.limits, found_app.isolation) == (AppLimits(), "sandbox")
    [rule] = tomllib.loads(uncommented(template("policy.toml")))["rule"]
    assert set(rule) == {field.name for field in msgspec.structs.fields(Rule)}
    [found_rule] = policy(tmp_path, uncommented(template("policy.toml"))).rule
    for field in msgspec.structs.fields(Rule):
        if field.name in ("seals", "min_parties", "cohort", "approval"):
            assert getattr(found_rule, field.name) == field.default


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ("broker.example.org:7443", "broker", "broker"),
        ("broker.example.org:7443", "broker:99999", "broker"),
        ("broker.example.org:7443", "broker:0", "broker"),
        ("broker.example.org:7443", "http://broker:7443", "broker"),
        (HASH, "abc", "datasets.heart.hash"),
        ('format = "csv"', 'format = "xml"', "source"),
        ('format = "csv"', 'format = "csv"\nheader = false', "datasets.heart.source.columns"),
        ('format = "csv"', 'format = "csv"\ncolumns = ["a", "A"]', "datasets.heart.source.columns"),
        ('format = "csv"', 'format = "csv"\ndelimiter = "::"', "datasets.heart.source.delimiter"),
        ('format = "csv"', 'format = "csv"\ncolour = 1', "colour"),
        ("[datasets.heart]", "[engine]\nthreads = 0\n[datasets.heart]", "engine.threads"),
        ("[datasets.heart]", 'log_level = "loud"\n[datasets.heart]', "log_level"),
        ("[datasets.heart]", "open_jobs_max = 0\n[datasets.heart]", "open_jobs_max"),
        ("[datasets.heart]", 'accept_rollback = "yes"\n[datasets.heart]', "accept_rollback"),
        (f'hash = "{HASH}"', f'hash = "{HASH}"\nasset = "A b"', "asset"),
    ],
)
def test_a_slip_in_node_toml_is_named_with_file_and_key(tmp_path, before, after, named):
    assert before in SETTINGS
    with pytest.raises(InvalidInput) as caught:
        settings(tmp_path, SETTINGS.replace(before, after))
    assert caught.value.code == "bad_settings"
    assert str(tmp_path / "node.toml") in caught.value.message
    assert named in caught.value.message
    assert caught.value.remedy


def test_two_entries_over_one_file_must_share_their_asset(tmp_path):
    second = SETTINGS.split("[datasets.heart]", 1)[1].replace("heart", "heart2").replace(HASH, "cd" * 32)
    both = f"{SETTINGS}[datasets.heart2]{second}"
    with pytest.raises(InvalidInput, match="reads the same file"):
        settings(tmp_path, both)
    found = settings(tmp_path, both.replace(f'"{"cd" * 32}"', f'"{"cd" * 32}"\nasset = "heart"'))
    assert {entry.asset for entry in found.datasets.values()} == {"heart"}


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ("analyst/*", "node/*", "analysts"),
        ("spiffe://kapok.test/org/university/analyst/*", "everybody", "analysts"),
        ('"count", "sum"', '"count", "median"', "operations"),
        ("min_cell = 5", 'min_cell = 5\nfunctions = ["read_csv"]', "functions"),
        ("min_cell = 5", 'min_cell = 5\nfunctions = ["ABS"]', "functions"),
        ('["count", "sum"]', "[]", "operations"),
        ("questions = 10", "questions = -1", "questions"),
        ("min_rows = 20", "min_rows = 0", "min_rows"),
        ("min_cell = 5", "", "min_cell"),
        ("min_cell = 5", "min_cell = 5\nmin_parties = 2", "min_parties"),
        ("min_cell = 5", 'min_cell = 5\ncohort = "loose"', "cohort"),
        ("min_cell = 5", 'min_cell = 5\napproval = "yes"', "approval"),
        ("min_cell = 5", 'min_cell = 5\nseals = ["wax"]', "seals"),
        ("min_cell = 5", 'min_cell = 5\nmembers = ["spiffe://kapok.test/org/a/analyst/*"]', "members"),
        ("min_cell = 5", "min_cell = 5\nmin_sell = 5", "min_sell"),
        ("min_cell = 5", "min_cell = 5\np_percent = 0", "p_percent"),
        ("min_cell = 5", "min_cell = 5\nhours = []", "hours"),
        ("min_cell = 5", 'min_cell = 5\nhours = ["mon-fri 18:00-08:00"]', "hours"),
        ("min_cell = 5", 'min_cell = 5\nhours = ["always"]', "hours"),
        ("min_cell = 5", "min_cell = 5\nquestions_per_day = -1", "questions_per_day"),
        ("min_cell = 5", "min_cell = 5\nrounds = 0", "rounds"),
        ("min_cell = 5", 'min_cell = 5\ntimezone = "UTC"', "timezone"),
        ("min_cell = 5", "min_cell = 5\np_percent = 101", "p_percent"),
        ("min_cell = 5", "min_cell = 5\ndominance = {n = 0, percent = 80}", "dominance.n"),
        ("min_cell = 5", "min_cell = 5\ndominance = {n = 2, percent = 100}", "dominance.percent"),
        ("min_cell = 5", "min_cell = 5\ndominance = {n = 2}", "dominance.percent"),
        ("min_cell = 5", "min_cell = 5\ndominance = {n = 2, percent = 80, k = 1}", "dominance.k"),
        (
            "min_cell = 5",
            'min_cell = 5\n[rule.required_members]\n"spiffe://kapok.test/org/a/node/main" = "abc"',
            "required_members",
        ),
        (
            "min_cell = 5",
            'min_cell = 5\n[rule.required_members]\n"spiffe://kapok.test/org/a/node/*" = ""',
            "required_members",
        ),
    ],
)
def test_a_slip_in_policy_toml_is_named_with_file_rule_and_key(tmp_path, before, after, named):
    assert before in RULE
    with pytest.raises(InvalidInput) as caught:
        policy(tmp_path, RULE + RULE.replace(before, after))
    assert caught.value.code == "bad_settings"
    assert str(tmp_path / "policy.toml") in caught.value.message
    assert "rule 2" in caught.value.message
    assert named in caught.value.message


def test_a_time_zone_that_is_not_known_is_named(tmp_path):
    with pytest.raises(InvalidInput, match="'timezone': 'Mars'") as caught:
        policy(tmp_path, f'timezone = "Mars"\n{RULE}')
    assert caught.value.code == "bad_settings"
    assert policy(tmp_path, f'timezone = "Asia/Tokyo"\n{RULE}').timezone == "Asia/Tokyo"


@pytest.mark.parametrize(
    ("line", "key", "allowed"),
    [
        ('approval = "yes"', "approval", "automatic, manual"),
        ("approval = true", "approval", "automatic, manual"),
        ('cohort = "loose"', "cohort", "fixed, free, same-question"),
        ('seals = ["wax"]', "seals[0]", "pad, paillier"),
        ('seals = "pad"', "seals", "pad, paillier"),
        ('operations = ["count", "median"]', "operations", "avg, count, covariance"),
        ('operations = "count"', "operations", "avg, count, covariance"),
        ("operations = [1]", "operations[0]", "avg, count, covariance"),
    ],
)
def test_a_value_that_is_not_allowed_is_told_all_that_are(tmp_path, line, key, allowed):
    others = [one for one in RULE.splitlines() if not one.startswith(line.split(" ")[0])]
    rule = "\n".join([*others, line])
    with pytest.raises(InvalidInput) as caught:
        policy(tmp_path, RULE + rule)
    assert caught.value.message.startswith(f"{tmp_path / 'policy.toml'}: rule 2: key '{key}'")
    assert allowed in f"{caught.value.message} {caught.value.remedy}"


def test_a_format_that_is_not_known_is_told_those_that_are_and_in_which_section(tmp_path):
    second = SETTINGS.split("[datasets.heart]", 1)[1].replace("heart", "lungs").replace("patients", "others")
    with pytest.raises(InvalidInput) as caught:
        settings(
            tmp_path, f"{SETTINGS}[datasets.lungs]{second}".replace('"csv"\npath = "o', '"xml"\npath = "o')
        )
    formats = "arrow, csv, parquet, postgresql, query"
    expected = f"key 'datasets.lungs.source.format' must be one of: {formats}; it is 'xml'"
    assert caught.value.message == f"{tmp_path / 'node.toml'}: {expected}"


def test_the_example_for_security_officers_is_a_policy(tmp_path):
    page = Path(__file__).parents[3] / "docs" / "policy.md"
    [example] = re.findall(r"(?ms)^```toml\n(.*?)^```", page.read_text(encoding="utf-8"))
    found = policy(tmp_path, example)
    assert found.timezone == "Europe/Berlin"
    assert (found.rule[0].hours, found.rule[0].thresholds.p_percent) == (("mon-fri 08:00-18:00",), 20)


def test_what_acts_inside_the_mask_is_handed_to_the_computation(tmp_path):
    text = RULE + "dominance = {n = 2, percent = 80}\np_percent = 20\n"
    [with_all] = policy(tmp_path, text).rule
    assert with_all.thresholds == Thresholds(20, 5, Dominance(2, 80), 20)
    [without] = policy(tmp_path, RULE).rule
    assert without.thresholds == Thresholds(20, 5, None, None)


def test_a_missing_settings_file_is_named(tmp_path):
    with pytest.raises(NotFound) as caught:
        load_settings(tmp_path)
    assert caught.value.code == "no_settings"
    assert "kapok enroll" in caught.value.remedy


def test_a_missing_policy_file_is_named_with_what_to_put_there(tmp_path):
    with pytest.raises(NotFound) as caught:
        load_policy(tmp_path)
    assert caught.value.code == "no_policy"
    assert str(tmp_path / "policy.toml") in caught.value.message
    assert "kapok node run" in caught.value.remedy
    assert "enrol" not in caught.value.diagnostics()


def test_the_safe_choice_is_the_default(tmp_path):
    [rule] = policy(tmp_path, RULE).rule
    assert (rule.approval, rule.cohort, rule.min_parties, rule.seals) == ("manual", "fixed", 3, ("paillier",))


def test_the_policy_in_words_says_who_may_ask_what(tmp_path):
    words = " ".join(policy_in_words(policy(tmp_path, RULE)))
    for said in (
        "university/analyst/*",
        "heart",
        "count, sum",
        "age",
        "10 questions",
        "3 organisations",
        "20",
        "5",
    ):
        assert said in words
    assert "subgroup" not in words
    assert "function" not in words
    words = " ".join(policy_in_words(policy(tmp_path, RULE + 'functions = ["abs", "round"]\n')))
    assert "over the columns age, with no functions but abs, round" in words
    words = " ".join(policy_in_words(policy(tmp_path, RULE + "functions = []\n")))
    assert "with no function applied" in words
    words = " ".join(policy_in_words(policy(tmp_path, RULE + 'key_profiles = ["standard", "subgroup"]\n')))
    assert "result keys of profile standard or subgroup" in words
    assert "every question is refused" in policy_in_words(Policy())[0]


@pytest.mark.parametrize(
    "other",
    [
        'relation = "public.patients"',
        'query = "SELECT p.age FROM patients p JOIN stays s ON s.id = p.id"',
        'query = "WITH x AS (SELECT * FROM public.patients) SELECT * FROM x"',
    ],
)
def test_two_entries_over_one_relation_must_share_their_asset(tmp_path, other):
    entry = '[datasets.{0}]\nhash = "{1}"\n[datasets.{0}.source]\nformat = "postgresql"\nurl_env = "DB"\n'
    text = 'broker = "localhost:7443"\n' + entry.format("a", HASH) + 'relation = "patients"\n'
    with pytest.raises(InvalidInput, match="reads the same relation"):
        settings(tmp_path, text + entry.format("b", "cd" * 32) + other)
    settings(tmp_path, text + entry.format("b", "cd" * 32) + 'relation = "ward.patients"')


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ('url_env = "DB"', "", "source.url_env"),
        ('url_env = "DB"', 'url_env = "DB"\nurl_file = "db.url"', "source.url_env"),
        ('url_env = "DB"', 'url_env = "postgresql://me:owl@h/d"', "source.url_env"),
        ('relation = "lab"', "", "source.relation"),
        ('relation = "lab"', 'relation = "lab"\nquery = "SELECT 1"', "source.relation"),
        ('relation = "lab"', 'relation = "a.b.c"', "source.relation"),
        ('relation = "lab"', 'relation = "lab"\nconnect_timeout_s = 0', "source.connect_timeout_s"),
        ('relation = "lab"', 'relation = "lab"\non_fault = "guess"', "source.on_fault"),
        ('relation = "lab"', 'relation = "lab"\nrename = {a = "x", b = "X"}', "source.rename"),
        ('relation = "lab"', 'relation = "lab"\npath = "x"', "path"),
    ],
)
def test_a_slip_in_a_source_is_named_and_no_url_is_repeated(tmp_path, before, after, named):
    text = f'broker = "h:1"\n[datasets.a]\nhash = "{HASH}"\n[datasets.a.source]\nformat = "postgresql"\n'
    text += 'url_env = "DB"\nrelation = "lab"\n'
    settings(tmp_path, text)
    with pytest.raises(InvalidInput) as caught:
        settings(tmp_path, text.replace(before, after))
    assert caught.value.code == "bad_settings"
    assert named in caught.value.message
    assert "owl" not in caught.value.diagnostics()


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ('query = "SELECT * FROM f"', 'query = " "', "source.query"),
        ("tables.f]", "tables.source]", "tables.source"),
        ("tables.f]", 'tables."F x"]', "tables.F x"),
        ("path", 'filter = "n > 1"\npath', "tables.f"),
        ("path", 'delimiter = ""\npath', "tables.f.delimiter"),
    ],
)
def test_a_slip_in_a_query_over_files_is_named(tmp_path, before, after, named):
    text = f'broker = "h:1"\n[datasets.a]\nhash = "{HASH}"\n[datasets.a.source]\nformat = "query"\n'
    text += 'query = "SELECT * FROM f"\n[datasets.a.source.tables.f]\nformat = "csv"\npath = "f.csv"\n'
    settings(tmp_path, text)
    with pytest.raises(InvalidInput) as caught:
        settings(tmp_path, text.replace(before, after, 1))
    assert named in caught.value.message
