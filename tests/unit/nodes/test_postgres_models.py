"""Whole models from PostgreSQL: those of the files, digit for digit, in every round."""

import contextlib
from importlib.resources import files

import pyarrow.csv
import pytest
from support.models import Outcome, run

from kapok.computations import Thresholds
from kapok.computations.cox.view import HazardsFit
from kapok.computations.glm.fit import Fit
from kapok.demo.hospitals import _COLUMNS, HOSPITALS
from kapok.documents.dataset import Dataset
from kapok.nodes.settings import CsvSource, EngineLimits, PostgresSource
from kapok.nodes.sources import Table
from kapok.nodes.sources.version import VersionKey

RULES = Thresholds(20, 1)
GLM = "GLM num > 0 ON 1, age, sex, oldpeak, exang FAMILY binomial LINK logit ROUNDS 25 FROM heart"
COX = "COX age EVENT num > 0 ON oldpeak, exang GRID (55, 60) ROUNDS 15 FROM heart"


@pytest.fixture(scope="module")
def heart() -> Dataset:
    return Dataset.from_toml(files("kapok.demo").joinpath("heart", "heart.toml"))


@pytest.fixture
def tables(heart, postgres, monkeypatch):
    """Each hospital's table: from its file, and from the server."""
    monkeypatch.setenv("HEART_URL", postgres.url())
    by_file, by_server = [], []
    for hospital in HOSPITALS:
        path = files("kapok.demo").joinpath("heart", f"processed.{hospital.name}.data")
        csv = CsvSource(path, header=False, columns=_COLUMNS, null="?")
        read = pyarrow.csv.ReadOptions(column_names=list(_COLUMNS))
        known = pyarrow.csv.ConvertOptions(null_values=["?"], strings_can_be_null=True)
        postgres.make(f"heart_{hospital.name}", pyarrow.csv.read_csv(path, read, convert_options=known))
        server = PostgresSource(url_env="HEART_URL", relation=f"heart_{hospital.name}")
        for source, made in ((csv, by_file), (server, by_server)):
            made.append(Table(heart, source, EngineLimits(threads=1), VersionKey(b"k" * 32)))
    return by_file, by_server


def outcome(kind, text, dataset, tables):
    with contextlib.ExitStack() as stack:
        readings = [stack.enter_context(table.reading()) for table in tables]
        assert [reading.unfit for reading in readings] == [()] * len(tables)
        rounds: list[object] = []
        found = run(kind, text, dataset, [one.engine for one in readings], RULES, rounds=rounds)
    assert all(reading.steady for reading in readings)
    return Outcome(found), len(rounds)


@pytest.mark.parametrize(("kind", "text", "view"), [("glm", GLM, Fit), ("cox", COX, HazardsFit)])
def test_a_model_is_that_of_the_files(heart, tables, kind, text, view):
    (files_say, rounds), (server_says, as_many) = (outcome(kind, text, heart, one) for one in tables)
    assert rounds == as_many > 2
    fit = view(server_says)
    assert fit.converged, fit.message
    assert fit.report == view(files_say).report
    assert server_says.to_arrow().equals(files_say.to_arrow())
