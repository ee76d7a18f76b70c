"""What the pages and docstrings point to is there: links, files and modules by name, decisions by number."""

import re
import tomllib
from itertools import chain
from pathlib import Path

import pytest

from kapok.broker.store import schema as broker_tables
from kapok.computations.registry import known_operations
from kapok.nodes.journal import tables as node_tables

ROOT = Path(__file__).parents[2]
SOURCES = ("sdk", "protocols", "broker", "nodes")
PAGES = sorted(
    chain(
        ROOT.glob("*.md"),
        *((ROOT / folder).rglob("*.md") for folder in ("docs", "benchmarks", "examples", "sdk")),
    )
)
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
NUMBERS = set(range(1, len(DECISIONS) + 1))
CODE = sorted(
    path
    for folder in (*SOURCES, "benchmarks", "tests")
    for path in (ROOT / folder).rglob("*.py")
    if "_pb2" not in path.name
)

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_FILE = re.compile(
    r"(?<![\w/.-])((?:docs|tests|sdk|protocols|broker|nodes|proto|benchmarks|examples)/[\w./-]*\w)"
)
_TEST = re.compile(r"\btest_\w+\.py\b")
_MODULE = re.compile(r"`kapok((?:\.[a-z_0-9]+){2,})")
_DECISION = re.compile(r"\bdecisions? (\d+)(?: and (\d+))?")


def name(path):
    return str(path.relative_to(ROOT))


def anchor(heading):
    """The fragment by which a heading is linked: small letters, no signs, hyphens for spaces."""
    plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading.strip().lower())
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def is_there(text):
    """Whether a path as it is written in a text leads to something: a module may go without its `.py`."""
    return (ROOT / text).exists() or (ROOT / f"{text}.py").exists()


def leads(page, link):
    """Whether a page's link leads to a file or folder, and to a heading in it where it names one."""
    path, _, fragment = link.partition("#")
    target = page.parent / path if path else page
    if not fragment:
        return target.exists()
    return target.is_file() and fragment in map(anchor, _HEADING.findall(target.read_text(encoding="utf-8")))


def is_module(dotted):
    """Whether ``.a.b`` is a module of Kapok's, or a name in one."""
    parts = dotted.split(".")[1:]
    places = [
        ROOT / source / "kapok" / Path(*parts[:length])
        for source in SOURCES
        for length in (len(parts), len(parts) - 1)
        if length
    ]
    return any(place.is_dir() or place.with_suffix(".py").is_file() for place in places)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_of_a_page_leads_somewhere(page):
    links = _LINK.findall(_FENCED.sub("", page.read_text(encoding="utf-8")))
    assert [link for link in links if not link.startswith("https://") and not leads(page, link)] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_file_and_module_that_a_page_names_is_there(page):
    text = page.read_text(encoding="utf-8")
    tests = {path.name for path in CODE}
    assert [path for path in _FILE.findall(text) if not is_there(path)] == []
    assert [test for test in _TEST.findall(text) if test not in tests] == []
    assert [module for module in _MODULE.findall(text) if not is_module(module)] == []


def test_every_file_module_and_decision_that_the_code_names_is_there():
    missing = []
    for path in CODE:
        text = path.read_text(encoding="utf-8")
        missing += [f"{name(path)}: {file}" for file in _FILE.findall(text) if not is_there(file)]
        missing += [f"{name(path)}: {module}" for module in _MODULE.findall(text) if not is_module(module)]
        missing += [f"{name(path)}: decision {number}" for number in decisions_in(text) - NUMBERS]
    assert missing == []


def decisions_in(text):
    """The numbers of the decisions that a text names."""
    return {int(number) for pair in _DECISION.findall(text) for number in pair if number}


def test_decisions_are_numbered_once_each_and_without_a_gap():
    assert [int(path.name[:4]) for path in DECISIONS] == sorted(NUMBERS)
    headed = [int(path.read_text(encoding="utf-8").removeprefix("# ").split(".")[0]) for path in DECISIONS]
    assert headed == sorted(NUMBERS)


def test_the_list_of_decisions_has_each_under_its_title():
    listed = re.findall(
        r"^- (\d+): \[(.+)\]\((\S+)\)$", (ROOT / "docs/decisions/README.md").read_text("utf-8"), re.MULTILINE
    )
    assert [(int(number), file) for number, _, file in listed] == [
        (int(path.name[:4]), path.name) for path in DECISIONS
    ]
    for (_, title, _), path in zip(listed, DECISIONS, strict=True):
        heading = path.read_text(encoding="utf-8").splitlines()[0].partition(". ")[2]
        assert heading.startswith(title)


@pytest.mark.parametrize(
    ("section", "tables"),
    [("Broker", broker_tables.Base.metadata), ("Node", node_tables.metadata)],
    ids=["broker", "node"],
)
def test_the_data_model_has_a_line_for_each_table(section, tables):
    page = (ROOT / "docs" / "data-model.md").read_text(encoding="utf-8")
    part = page.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE)) == set(tables.tables)


def test_operating_says_the_brokers_bounds_as_they_are():
    page = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    limits = tomllib.loads((ROOT / "broker/kapok/broker/broker.toml").read_text(encoding="utf-8"))["limits"]
    said = {
        key: int(number.replace(",", ""))
        for key, number in re.findall(r"`([a-z_]+)` \(([\d,]+)\)", page)
        if key in limits
    }
    assert said.keys() >= {"open_jobs_max", "analyst_jobs_max", "jobs_at_work_max", "calls_per_s"}
    assert said == {key: limits[key] for key in said}


def test_the_policys_page_names_every_operation():
    page = (ROOT / "docs" / "policy.md").read_text(encoding="utf-8")
    operations = page.partition("**Operations.**")[2].partition("\n\n")[0]
    assert set(re.findall(r"`([a-z]+)`", operations)) == known_operations()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_page_links_a_decision_under_its_own_number(page):
    text = page.read_text(encoding="utf-8")
    assert decisions_in(text) <= NUMBERS
    for number, file in re.findall(r"\[decision (\d+)\]\([^)]*?(\d{4})-[^)]*\)", text):
        assert int(number) == int(file)
