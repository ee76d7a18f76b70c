"""Words are as wide as the question's largest sum needs, with room for random words of all holders."""

from __future__ import annotations

import pytest

from kapok.computations.query.reading import read_question
from kapok.computations.widths import random_bits, word_bits
from kapok.documents.dataset import Column, Dataset


@pytest.mark.parametrize(
    ("bound", "random", "word"),
    [
        # 256·1 = 2^8 exactly, so w = 8 + 40.
        (1, 48, 64),
        # 256·3 lies between 2^9 and 2^10.
        (3, 50, 64),
        # w + 9 = 64 just fits, one more step does not.
        (2**7, 55, 64),
        (2**7 + 1, 56, 72),
        (120_000, 65, 80),
        (2**126, 174, 184),
    ],
)
def test_widths_follow_from_the_bound(bound: int, random: int, word: int) -> None:
    assert (random_bits(bound), word_bits(bound)) == (random, word)
    # What the design asks of them: 256 suppressing holders never wrap a signed word.
    assert 256 * bound * 2**40 <= 2**random < 2 * 256 * bound * 2**40
    assert 256 * (2**random - 1) < 2 ** (word - 1)


@pytest.mark.parametrize(
    ("asked", "bound"),
    [
        ("COUNT(*)", 1000),
        ("COUNT(age)", 1000),
        # Sums are of distances from the centre of the bounds.
        ("SUM(age)", 60 * 1000),
        ("STDDEV_SAMP(age)", 60**2 * 1000),
        ("CORR(age, size)", max(60**2, 10_000**2) * 1000),
        ("SUM(late)", 5 * 1000),
        ("COUNT(DISTINCT age)", 1000),
        ("SUM(age / 7)", 60 * 1000),
    ],
)
def test_the_bound_follows_the_question(asked: str, bound: int) -> None:
    dataset = Dataset(
        name="d",
        rows_max=1000,
        columns=(
            Column(name="age", type="integer", minimum=0, maximum=120),
            Column(name="size", type="decimal", minimum=-100, maximum=100, resolution="0.01"),
            Column(name="late", type="integer", minimum=990, maximum=1000),
            Column(name="wide", type="integer", minimum=-(10**18) + 1, maximum=10**18 - 1),
            Column(name="t", type="timestamp", minimum="1900-01-01T00:00:00", maximum="2100-01-01T00:00:00"),
        ),
    )
    question = read_question(f"SELECT {asked} FROM d WHERE wide > 0 AND t > '2000-01-01'", dataset)
    assert question.bound == bound
    assert question.word_bits == word_bits(bound)
