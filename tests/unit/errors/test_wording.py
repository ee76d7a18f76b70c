"""Words that messages have in common."""

import pytest

from kapok.errors import counted, near


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (counted(0, "cell"), "0 cells"),
        (counted(1, "cell"), "1 cell"),
        (counted(2, "cell"), "2 cells"),
        (counted(1, "party", "parties"), "1 party"),
        (counted(1234, "party", "parties"), "1,234 parties"),
    ],
)
def test_one_is_one(told, said):
    assert told == said


@pytest.mark.parametrize("typo", ["agee", "ag", "oldpeek", "thalch", "slop"])
def test_a_typo_is_near_to_what_was_meant(typo):
    known = ["age", "sex", "slope", "oldpeak", "thalach", "thal"]
    meant = {"agee": "age", "ag": "age", "oldpeek": "oldpeak", "thalch": "thalach", "slop": "slope"}
    assert near(typo, known)[0] == meant[typo]


@pytest.mark.parametrize("word", ["nope", "weight", "x", "cholesterol", "patient"])
def test_a_far_off_word_is_near_to_nothing(word):
    assert near(word, ["age", "sex", "cp", "chol", "slope", "oldpeak", "thalach", "ca"]) == []
