"""What the columns of an answer are called."""

import pytest

from kapok.computations.query.reading import read_question
from kapok.errors import InvalidInput

NAMES = {
    "COUNT(*), AVG(age), COUNT(DISTINCT sex), CORR(age, thalach)": (
        "count avg_age count_distinct_sex corr_age_thalach"
    ),
    "AVG(LN(age)), SUM(POWER(age, 2)), SUM(age)": "avg_ln_age sum_power_age_2 sum_age",
    "COUNT_IF(age >= 60), COUNT_IF(age < 60)": "count_if_age_ge_60 count_if_age_lt_60",
    "AVG(age), AVG(age) FILTER (WHERE sex = 1), AVG(age) AS avg_age_2": "avg_age avg_age_3 avg_age_2",
    "SUM(age) / COUNT(*), EXP(AVG(LN(age)))": "sum_age_per_count exp_avg_ln_age",
    "100 * AVG(age), COUNT(*) AS count": "column_1 count",
    "COUNT(*), AVG(age) AS count": "count_2 count",
    "AVG(age), AVG(age) AS avg_age": "avg_age_2 avg_age",
    "AVG(age) AS avg_age, AVG(age)": "avg_age avg_age_2",
}


@pytest.mark.parametrize("selected", NAMES)
def test_names_follow_from_what_is_selected_and_survive_the_canonical_text(heart, selected):
    question = read_question(f"SELECT {selected} FROM heart", heart)
    assert " ".join(item.name for item in question.items) == NAMES[selected]
    again = read_question(question.text, heart)
    assert again == question
    assert again.text == question.text


def test_a_name_that_says_nothing_is_not_written(heart):
    text = read_question("SELECT AVG(age) AS avg_age, COUNT(*) AS n FROM heart", heart).text
    assert text == "SELECT AVG(age), COUNT(*) AS n FROM heart"


def test_long_expressions_have_names_of_63_characters_at_most(heart):
    many = " + ".join(["age"] * 40)
    question = read_question(f"SELECT AVG({many}), SUM({many}), AVG({many} + 1) FROM heart", heart)
    names = [item.name for item in question.items]
    assert len(set(names)) == 3
    assert max(map(len, names)) <= 63


@pytest.mark.parametrize("where", ["ORDER BY nosuch", "HAVING nosuch > 3"])
def test_a_name_that_is_nothings_is_said_to_be_unknown(heart, where):
    with pytest.raises(InvalidInput) as caught:
        read_question(f"SELECT COUNT(*) AS n FROM heart {where}", heart)
    assert caught.value.code == "unknown_column"
