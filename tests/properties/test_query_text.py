"""Any text is either a question, whose canonical text is the same question, or refused with a reason."""

from __future__ import annotations

from importlib.resources import files

from hypothesis import example, given, settings
from hypothesis import strategies as st

from kapok.computations.query.params import Question
from kapok.computations.query.parse import reference_of
from kapok.computations.query.reading import read_question
from kapok.documents.dataset import Dataset
from kapok.errors import InvalidInput

DATASET = Dataset.from_toml(str(files("kapok.demo").joinpath("heart/heart.toml")))

WORDS = """
SELECT FROM WHERE GROUP BY COUNT SUM AVG MIN ( ) ( ) , . * + - / % < > = <> <= >= != :: ; -- /* */ ' " $
@ ? : [ ] { } AND OR NOT IN IS NULL TRUE FALSE BETWEEN LIKE CASE WHEN THEN ELSE END CAST AS DISTINCT ALL
HAVING ORDER LIMIT OFFSET UNION JOIN ON WITH OVER FILTER EXISTS INTERVAL DATE ANY VALUES LATERAL UNNEST
PIVOT heart age sex cp oldpeak thal ca num x 0 1 2 50 0.1 'a' '' "age" heart.age read_csv('x') COUNT(*)
COUNT(*) AVG(age) || && ^ ~ -> ->> => := .. ** // << >> FOR UPDATE INTO TABLE COPY ATTACH PRAGMA SET
DROP é 北 \u00a0 \u212a
"""
soup = st.lists(st.sampled_from([*WORDS.split(), "\u00a0"]), max_size=25).map(" ".join)
started = st.tuples(
    st.sampled_from(
        ["SELECT COUNT(*) FROM heart WHERE", "SELECT sex , AVG(age)", "SELECT COUNT(*) FROM heart"]
    ),
    soup,
).map(" ".join)

PIECES = (
    "age + 1 > - 2",
    "NOT sex = 1",
    "oldpeak * ( 2 - age ) <= 0.50",
    "ca IS NOT NULL",
    "( cp IN ( 1 , 2 ) ) IS NOT TRUE",
    "num NOT IN ( 0 )",
    "age NOT BETWEEN 3 AND 5 - oldpeak",
    "TRUE",
)
conditions = st.recursive(
    st.sampled_from(PIECES),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(" ".join),
        inner.map(lambda text: f"NOT ( {text} )"),
        inner.map(lambda text: f"( {text} ) IS FALSE"),
    ),
    max_leaves=8,
)
valid = st.tuples(
    st.lists(st.sampled_from(["COUNT(*)", "AVG ( age )", "SUM(heart . chol) AS s", "sex"]), unique=True),
    conditions,
).map(
    lambda pair: f"SELECT {' , '.join([*pair[0], 'COUNT(ca)'])} FROM heart WHERE {pair[1]} GROUP BY sex , cp"
)


def read(text: str) -> Question | None:
    try:
        return read_question(text, DATASET)
    except InvalidInput as error:
        refused = error
    assert refused.remedy
    return None


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=300), soup, started, valid))
@example("SELECT COUNT(*) FROM heart WHERE age > 1 AND -- \n sex = 1")
@example("SELECT COUNT(*) FROM heart WHERE {{ age }} = 1")
@example("SELECT COUNT(*) FROM heart WHERE 'a")
def test_any_text_is_a_question_or_refused(text: str) -> None:
    question = read(text)
    if question is not None:
        assert read_question(question.sql, DATASET) == question
        assert read_question(question.sql, DATASET).sql == question.sql
        assert question.describe().endswith(".")
    try:
        reference_of(text)
    except InvalidInput:
        assert question is None


@settings(max_examples=40, deadline=None)
@given(valid)
def test_spaces_and_case_do_not_matter(text: str) -> None:
    question = read_question(text, DATASET)
    assert read_question(text.upper().replace(" ", "\n  "), DATASET) == question
    assert read_question(text.lower().replace(" ", "\t"), DATASET) == question
