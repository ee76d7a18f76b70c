"""The demonstration's dataset."""

from importlib.resources import files
from pathlib import Path

import pytest

from kapok.documents.dataset import Dataset


@pytest.fixture(scope="session")
def heart():
    return Dataset.from_toml(Path(str(files("kapok.demo").joinpath("heart"))) / "heart.toml")
