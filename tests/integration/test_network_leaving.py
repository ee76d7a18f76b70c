"""Trainings over real processes whose nodes are killed: as the cohort rule says, they wait, or go on."""

from __future__ import annotations

import os
import random
import signal
import time

import numpy as np
import pytest
from support.apps import need_sandbox
from support.clinics import APP, Watched, clinics, document, everybody, plain_loop, until

GRACE_S = 2.0


def arguments(rounds, pause=0.0, *more):
    config = f"num-server-rounds={rounds} pause={pause}"
    return ("fl", "run", str(APP), "--dataset", "clinics", "--run-config", config, "--json", *more)


def finished(process):
    """What the training came to: its history, the model by the file that it names."""
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    answer = document(out)
    with np.load(answer["model"]) as model:
        return answer["rows"], model["model"]


def check(network, rows, model, exchanges, rounds):
    """The right number of exchanges, and of those who took part exactly what a plain loop gives."""
    assert [(one.number, one.kind) for one in exchanges] == [
        (number, ("evaluate", "train")[number % 2]) for number in range(1, 2 * rounds + 1)
    ]
    expected, losses = plain_loop(exchanges, everybody(network.nodes))
    assert np.abs(model - expected).max() < 1e-9
    assert np.abs(np.array([row[-1] for row in rows if row[1] == "evaluate"]) - losses).max() < 1e-9


def check_releases(watched, exchanges):
    """All nodes that have released an exchange have released the same attempt of it, for the same names."""
    for number, found in watched.releases().items():
        assert len(found) == 1, (number, found)
    assert len(watched.releases()) == len(exchanges)


@pytest.fixture(scope="module")
def five(tmp_path_factory):
    """Clinics whose policies let a training go on without one of them."""
    need_sandbox()
    names = ("ash", "birch", "cedar", "dogwood", "elm")
    with clinics(tmp_path_factory.mktemp("clinics"), names, "same-question", seal_grace_s=GRACE_S) as network:
        yield network


def bring_back(process, *nodes):
    """Start nodes again; whoever is fast must not be at the end of the training before they are there."""
    process.send_signal(signal.SIGSTOP)
    for node in nodes:
        node.start()
        node.wait_ready()
    process.send_signal(signal.SIGCONT)


def test_a_training_goes_on_without_a_killed_node_and_takes_it_back(five, begin):
    watched, ash = Watched.of(five), five.nodes["ash"]
    process = begin(five.analyst, *arguments(7, 0.2, "--at-least", "3"))
    all_of_them = everybody(five.nodes)
    until(lambda: watched.exchanges or process.poll() is not None)
    short = None
    while short is None:
        ash.kill()
        stuck = time.monotonic()
        while short is None and not (watched.at[1] == "releasing" and time.monotonic() - stuck > 2 * GRACE_S):
            short = next((one for one in watched.exchanges if one.parties != all_of_them), None)
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        bring_back(process, ash)
    assert short.parties == everybody(("birch", "cedar", "dogwood", "elm"))
    rows, model = finished(process)
    check(five, rows, model, watched.exchanges, 7)
    check_releases(watched, watched.exchanges)
    assert watched.exchanges[-1].parties == all_of_them
    assert [row[2] for row in rows] == [one.holders for one in watched.exchanges]


def test_an_exchange_that_went_on_without_a_node_leaves_no_trace_in_what_its_app_keeps(five, begin):
    """Ash has done its part and is killed with cedar, which has not: the attempt is void, the rest go on."""
    watched, ash, cedar = Watched.of(five), five.nodes["ash"], five.nodes["cedar"]
    process = begin(five.analyst, *arguments(7, 0.5, "--at-least", "3"))
    until(lambda: watched.at > (1, "sealing") or process.poll() is not None)
    number = until(lambda: watched.at[1] == "sealing" and watched.at[0])
    os.kill(cedar.pid, signal.SIGSTOP)
    kept = ash.home / "state" / "apps" / "states" / watched.job
    until(kept.joinpath(f"{number:06}").exists)
    ash.kill()
    cedar.kill()
    assert watched.at == (number, "sealing")
    short = until(lambda: watched.exchanges[number - 1 :])[0]
    assert short.parties == everybody(("birch", "dogwood", "elm"))
    assert kept.joinpath(f"{number:06}").exists()
    bring_back(process, ash, cedar)
    rows, model = finished(process)
    check(five, rows, model, watched.exchanges, 7)
    assert watched.exchanges[-1].parties == everybody(five.nodes)


@pytest.mark.slow
@pytest.mark.parametrize("cohort", ["fixed", "same-question"])
def test_ten_nodes_of_which_one_is_killed_in_every_other_round(tmp_path, begin, cohort):
    need_sandbox()
    chance, rounds = random.Random(cohort), 20
    names = tuple(f"clinic-{number}" for number in range(10))
    at_least = ("--at-least", "3") if cohort == "same-question" else ()
    with clinics(tmp_path, names, cohort, seal_grace_s=GRACE_S) as network:
        undisturbed, watched = Watched.of(network), None
        rows, model = finished(begin(network.analyst, *arguments(rounds)))
        check(network, rows, model, undisturbed.exchanges, rounds)
        watched = Watched.of(network)
        process, killed = begin(network.analyst, *arguments(rounds, 0.2, *at_least)), []
        for number in range(1, 2 * rounds, 4):
            until(lambda number=number: watched.at[0] >= number or process.poll() is not None)
            time.sleep(chance.uniform(0.0, 1.5))
            victim = network.nodes[chance.choice(names)]
            killed.append((victim.name, *watched.at))
            victim.kill()
            time.sleep(chance.choice([0.0, chance.uniform(0.0, 4 * GRACE_S)]))
            victim.start()
            victim.wait_ready()
        disturbed = finished(process)
        check(network, *disturbed, watched.exchanges, rounds)
        check_releases(watched, watched.exchanges)
        fewer = [one.number for one in watched.exchanges if one.holders < len(names)]
        print(f"{cohort}: killed {killed}; exchanges of fewer: {fewer}")
        if cohort == "fixed":
            assert fewer == []
            assert np.abs(disturbed[1] - model).max() < 1e-9
