"""A kind of question that names an app, and asks for a count: for what a node makes of that name."""

from dataclasses import replace

from kapok.computations.query.entry import COMPUTATION as QUERY
from kapok.documents.bundle import read_bundle
from support.apps import archive, files_of

BUNDLE = archive(files_of("return None"))
APP = read_bundle(BUNDLE).hash


class Counted:
    """A question of the query language, with an app."""

    app = APP
    columns = ("age",)
    config = {"learning-rate": 0.05}
    clip_norm = None

    def __init__(self, question):
        self._question = question

    def __getattr__(self, name):
        return getattr(self._question, name)


COMPUTATION = replace(
    QUERY, name="app-count", parse=lambda text, dataset: Counted(QUERY.parse(text, dataset))
)
