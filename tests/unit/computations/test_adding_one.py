"""The worked example of docs/computations.md, as it stands there, through real nodes."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from support.hospitals import DATASET, ROWS, World, empty_world, make_world, realm, rule  # noqa: F401 - fixtures

from kapok.computations import registry
from kapok.errors import InvalidInput
from kapok.nodes.policy import Policy

PAGE = Path(__file__).parents[3] / "docs" / "computations.md"
ASKED = "GEOMEAN GREATEST(age, 1)"
MODULES = ("params", "holder", "analyst", "entry")


@pytest.fixture
def geomean(tmp_path, monkeypatch):
    """The page's folder, importable, and its line in the registry."""
    folder = tmp_path / "geomean_example"
    folder.mkdir()
    (folder / "__init__.py").touch()
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    others = "".join(
        f"from geomean_example.{module} import {name}\n"
        for module, name in (("params", "Question"), ("holder", "contribute"), ("analyst", "answer"))
    )
    for name, block in zip(MODULES, blocks, strict=True):
        (folder / f"{name}.py").write_text((others if name == "entry" else "") + block, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(registry, "_MODULES", {**registry._MODULES, "geomean": "geomean_example.entry"})
    yield
    for name in [name for name in sys.modules if name.startswith("geomean_example")]:
        del sys.modules[name]


def test_the_page_is_short():
    assert len(PAGE.read_text(encoding="utf-8").splitlines()) < 140


def test_the_example_answers_through_real_nodes(geomean, empty_world: World):  # noqa: F811
    policy = Policy((rule(operations=("geomean",)),))
    for name, rows in ROWS.items():
        empty_world.add(name, rows, policy=policy)
    job = empty_world.job("geomean  greatest(age, 1)", kind="geomean")
    assert job.question.text == ASKED
    ages = [row[0] for rows in ROWS.values() for row in rows]
    found = job.answer(job.run())
    assert found.value == pytest.approx(np.exp(np.log(ages).mean()), rel=1e-14)
    assert found.to_arrow().to_pydict() == {"geomean": [found.value]}


def test_the_example_suppresses_and_is_refused_like_any_other(geomean, empty_world: World):  # noqa: F811
    strict = Policy((rule(operations=("geomean",), min_rows=25),))
    for name, rows in ROWS.items():
        empty_world.add(name, rows, policy=strict)
    job = empty_world.job(ASKED, kind="geomean")
    assert job.answer(job.run()).suppressed == ((0, "geomean"),)
    with pytest.raises(InvalidInput, match="zero or less"):
        registry.computation("geomean").parse("GEOMEAN age", DATASET)
    node = empty_world.nodes["a"]
    node.judge_by(Policy((rule(operations=("count",)),)))
    refusal = empty_world.refusal(empty_world.job(ASKED, kind="geomean").offer(node))
    assert refusal.code == "operation_not_allowed"
