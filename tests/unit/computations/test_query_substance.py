"""What a question asks, whatever it is called: by this a node knows the same question again."""

from __future__ import annotations

from kapok.computations.query.reading import read_question
from kapok.documents.dataset import Column, Dataset

MIXED = Dataset(
    name="mixed",
    rows_max=100,
    columns=(
        Column(name="place", type="text", domain=("north", "o'clock", "北"), nullable=True),
        Column(name="kind", type="text", domain=("a", "north")),
        Column(name="smokes", type="boolean", nullable=True),
        Column(name="age", type="integer", minimum=0, maximum=120),
        Column(name="big", type="integer", minimum=0, maximum=10**15),
    ),
)


def test_substance_is_the_same_whatever_things_are_called_and_in_which_order() -> None:
    def substance(sql: str) -> str:
        return read_question(sql, MIXED).substance

    first = substance(
        "select kind, count(*) as n, avg(age) as a from mixed "
        "where age > 1 and (smokes or place in ('north', '北')) group by kind, smokes"
    )
    assert first == substance(
        "select sum(age), count(*) from mixed "
        "where (place in ('北', 'north') or smokes) and age > 1 group by smokes, kind"
    )
    for other in (
        "select count(*) from mixed",
        "select count(age) from mixed",
        "select sum(age) from mixed",
        "select count(*) from mixed group by kind",
        "select count(*) from mixed where age > 1",
        "select count(*) from mixed where not (age > 1)",
        "select count(*) from mixed where age > 1 or smokes",
        "select count(*) from mixed where age > 1 and smokes",
    ):
        assert substance(other) != first
    assert substance("select count(*) from mixed where age - big > 1") != substance(
        "select count(*) from mixed where big - age > 1"
    )


def test_substance_does_not_know_the_datasets_name() -> None:
    renamed = Dataset(name="renamed", rows_max=100, columns=MIXED.columns)
    one, other = (read_question(f"select count(*) from {data.name}", data) for data in (MIXED, renamed))
    assert one.text != other.text
    assert one.substance == other.substance
