"""SIGKILL at random moments: a question ends with its answer or a named reason; nothing is released twice.

KAPOK_KILLS=17:600 pytest -m slow tests/integration/test_network_kills.py    # from seed 17 on, for 600 s
"""

import itertools
import os
import time
from collections import Counter

import pytest
from support.killing import Killing


@pytest.fixture(scope="module")
def killing(network):
    return Killing(network)


def answers(network):
    finished = network.kapok("query", "SELECT COUNT(*) FROM heart", "--json")
    assert finished.status == 0, finished.stderr
    assert finished.document()["rows"] == [[920]]


@pytest.mark.parametrize("seed", [8])
def test_a_question_survives_kills(killing, network, seed):
    outcome = killing.run(seed)
    assert outcome.killed
    answers(network)


@pytest.mark.slow
def test_questions_survive_many_kills(killing, network, capsys):
    first, _, seconds = os.environ.get("KAPOK_KILLS", "100:300").partition(":")
    seen: Counter[str] = Counter()
    began = time.monotonic()
    try:
        for seed in itertools.count(int(first)):
            if time.monotonic() - began > int(seconds or 0):
                break
            outcome = killing.run(seed)
            seen["questions"] += 1
            seen["kills"] += len(outcome.killed)
            seen["taken up again"] += outcome.times
            seen[f"ended with {outcome.code or 'the answer' if outcome.job else 'nothing asked'}"] += 1
            seen.update(f"killed {victim} in {state or 'no job yet'}" for victim, state in outcome.killed)
        answers(network)
    finally:
        with capsys.disabled():
            print(f"\n{dict(sorted(seen.items()))}")
