"""Roles in one process under a network that drops, doubles, delays, reorders and alters messages.

Whatever happens, the analyst reads the right sum or nothing: never a wrong one, never an error that is not
Kapok's own.
"""

import random
from dataclasses import fields, replace

import pytest
from support.actors import AskRelease, AskSeal, BrokerActor, Consent, NodeActor, Released, Sealed
from support.faulty_network import Faults, Network
from support.parties import exchange

from kapok.errors import KapokError

STEPS = 400
LOST_KEYS = "keys_lost"


def altered_text(source, text):
    place = source.randrange(len(text))
    letter = source.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
    return text[:place] + letter + text[place + 1 :]


def altered_bytes(source, body):
    place = source.randrange(len(body))
    return body[:place] + bytes([body[place] ^ (1 << source.randrange(8))]) + body[place + 1 :]


def alter(source, message):
    """One field of a message, changed somewhere: a letter, a bit, a number, the order or number of its
    parts."""
    # Who speaks is known from the connection, whatever the message says.
    changeable = [field.name for field in fields(message) if field.name != "party"]
    if not changeable:
        return message
    name = source.choice(changeable)
    value = getattr(message, name)
    if isinstance(value, str):
        return replace(message, **{name: altered_text(source, value)})
    if isinstance(value, int):
        return replace(message, **{name: source.choice([0, 1, 2, 3, value + 1])})
    parts = list(value)
    if parts and (kind := source.randrange(4)):
        at = source.randrange(len(parts))
        if kind == 1:
            del parts[at]
        elif kind == 2:
            parts.append(parts[at])
        else:
            one = parts[at]
            parts[at] = altered_text(source, one) if isinstance(one, str) else altered_bytes(source, one)
    else:
        source.shuffle(parts)
    return replace(message, **{name: tuple(parts)})


class Run:
    """One job under one seed."""

    def __init__(self, seed, *, restarts=0.0, faults=None, result_key=None):
        self.source = random.Random(seed)
        contributions = [[self.source.randrange(-(10**6), 10**6) for _ in range(4)] for _ in range(4)]
        self.job = exchange(contributions, result_key=result_key)
        self.broker = BrokerActor(self.job)
        self.nodes = [NodeActor(self.job, index) for index in range(4)]
        self.network = Network(self.source, faults or Faults.of(self.source), alter)
        self.restarts = restarts

    def go(self):
        """Until the sum is opened, or no patience is left; the opened words or None."""
        for _ in range(STEPS):
            delivered = self.network.deliver()
            if delivered is None:
                if len(self.broker.releases) == 4:
                    break
                for party, ask in self.broker.asks():
                    self.network.send(f"node {party}", ask)
                continue
            self.hand_over(*delivered)
        return self.open()

    def hand_over(self, to, message):
        if to == "broker":
            self.broker.handle(message)
            return
        node = self.nodes[int(to.split()[1])]
        if self.source.random() < self.restarts:
            node.restart()
        before = len(node.refusals)
        answer = node.handle(message)
        if answer is not None:
            self.network.send("broker", answer)
        if any(error.code == LOST_KEYS for error in node.refusals[before:]):
            self.broker.void()

    def open(self):
        if len(self.broker.releases) < 4:
            return None
        evidence = self.broker.hand_out()
        # What goes to the analyst goes over the same network.
        if self.source.random() < self.network.faults.alter:
            evidence = self.alter_evidence(evidence)
        try:
            return self.job.open_sum([], **evidence).words
        except KapokError as error:
            self.network.trace.append(f"analyst: {error.code}")
            return None

    def alter_evidence(self, evidence):
        name = self.source.choice(["consents", "seals", "releases", "sum_chunks"])
        parts = list(evidence[name])
        at = self.source.randrange(len(parts))
        one = parts[at]
        parts[at] = (
            altered_bytes(self.source, one) if isinstance(one, bytes) else altered_text(self.source, one)
        )
        return evidence | {name: parts}


def check(run):
    words = run.go()
    assert words in (None, run.job.truth()), run.network.trace
    released = [{past.attempt for past in node.journal} for node in run.nodes]
    assert all(len(attempts) <= 1 for attempts in released)
    return words


def test_right_result_or_none():
    answers = [check(Run(seed)) for seed in range(60)]
    assert any(words is not None for words in answers)


@pytest.mark.parametrize("seed", range(20))
def test_a_network_that_only_loses_doubles_and_reorders_does_not_stop_a_job(seed):
    assert check(Run(seed, faults=Faults(drop=0.15, double=0.3))) is not None


def test_altered_messages_are_refused_and_asked_for_again():
    answers, refused = 0, set()
    for seed in range(20):
        run = Run(seed, faults=Faults(alter=0.2))
        answers += check(run) is not None
        refused |= {error.code for actor in (run.broker, *run.nodes) for error in actor.refusals}
    assert answers
    assert {"bad_signature", "organisations_missing"} <= refused, refused


@pytest.mark.parametrize("seed", range(20))
def test_nodes_that_restart_at_any_time(seed):
    check(Run(seed, restarts=0.1, faults=Faults(drop=0.1, double=0.2)))


@pytest.mark.parametrize("seed", range(3))
def test_paillier_under_faults(seed, paillier_key_2048):
    check(Run(seed, faults=Faults(drop=0.1, double=0.2, alter=0.05), result_key=paillier_key_2048))


def test_a_restart_between_two_releases_goes_on_from_the_journal():
    run = Run(1, faults=Faults())
    while len(run.broker.releases) < 2:
        delivered = run.network.deliver()
        if delivered is None:
            for party, ask in run.broker.asks():
                run.network.send(f"node {party}", ask)
        else:
            run.hand_over(*delivered)
    for node in run.nodes:
        node.restart()
    assert run.go() == run.job.truth()
    assert run.broker.attempt == 1


def test_a_restart_before_sealing_voids_the_attempt():
    run = Run(2, faults=Faults())
    while not run.broker.roster_consents:
        delivered = run.network.deliver()
        if delivered is None:
            for party, ask in run.broker.asks():
                run.network.send(f"node {party}", ask)
        else:
            run.hand_over(*delivered)
    run.nodes[2].restart()
    assert run.go() == run.job.truth()
    assert run.broker.attempt == 2


def test_runs_of_one_seed_are_the_same():
    one, two = Run(7), Run(7)
    check(one)
    check(two)
    shape = [[type(message).__name__ + to for to, message in run.network.carried] for run in (one, two)]
    assert shape[0][:20] == shape[1][:20]


def test_nothing_that_travelled_holds_a_contribution():
    """Every byte that the broker got, searched for every word of every contribution, in each form it could
    have."""
    run = Run(3, faults=Faults())
    assert run.go() == run.job.truth()
    carried = b""
    for _, message in run.network.carried:
        match message:
            case Consent(_, token) | Released(_, _, token):
                carried += token.encode()
            case Sealed(_, _, token, chunks):
                carried += token.encode() + b"".join(chunks)
            case AskSeal(_, tokens) | AskRelease(_, tokens):
                carried += "".join(tokens).encode()
    for vector in [*run.job.contributions, run.job.truth()]:
        for value in vector:
            assert value.to_bytes(8, "little", signed=True) not in carried
    assert run.job.tag_seed not in carried
    assert run.job.receiver_key.private_bytes()[:32] not in carried


def test_the_faults_reach_every_step():
    """A simulation in which nothing ever fails would be no simulation."""
    codes = set()
    opened = []
    for seed in range(30):
        run = Run(seed, restarts=0.03, faults=Faults(drop=0.05, double=0.2, alter=0.12))
        opened.append(check(run) is not None)
        codes |= {error.code for actor in (run.broker, *run.nodes) for error in actor.refusals}
    assert any(opened)
    assert not all(opened)
    assert {"bad_signature", "digest_differs", "keys_lost", "organisations_missing"} <= codes


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 1600))
def test_right_result_or_none_swept(seed):
    check(Run(seed, restarts=random.Random(seed).choice([0.0, 0.02, 0.1])))
