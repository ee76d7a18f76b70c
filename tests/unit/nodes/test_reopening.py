"""Reopenings at the node: signatures of all concerned, its own journal, and what follows for cohorts."""

import pytest
from support.officers import node_names, reopening, signed

from kapok.documents.envelope import decode
from kapok.documents.reopening import REOPENING_ANSWER_TYP, ReopeningAnswer, SignedReopening
from kapok.errors import KapokError
from kapok.nodes import reopenings
from kapok.nodes.policy import Policy
from kapok.nodes.runner import AnsweredReopening, Release
from kapok.protocols.secure_sum.cohort import CohortStatement
from kapok.protocols.secure_sum.messages import CONSENT_TYP, ConsentStatement, read
from kapok.wire.messages import ReopenCohort

COUNT = "SELECT COUNT(*) FROM clinic"
SUM = "SELECT SUM(age) FROM clinic"
UNIVERSITY = "spiffe://kapok.test/org/university"


@pytest.fixture
def write(world, dataset_hash):
    """Writes and signs a reopening; from four hospitals to three unless it is told otherwise."""

    def written(old=("abcd",), new="abc", signers=None, **changes) -> SignedReopening:
        given = {"dataset": dataset_hash, "now": world.clock()} | changes
        return signed(reopening(old, new, **given), world.realm.credentials, signers)

    return written


def give(world, document, letters="abcd") -> dict[str, str]:
    """Give a reopening to nodes; what each answers: its code, empty where it accepts."""
    codes = {}
    for letter in letters:
        node = world.nodes[letter]
        [answer] = node.runner.handle(ReopenCohort(document.to_json()))
        assert isinstance(answer, AnsweredReopening)
        signed_answer = world.verifier.verify(REOPENING_ANSWER_TYP, answer.token)
        assert signed_answer.signer.name == node.name
        statement = decode(ReopeningAnswer, signed_answer.payload)
        assert statement.reopening == answer.job_id == document.id
        codes[letter] = statement.code
    return codes


def accepted(world, document, letters="abcd"):
    assert give(world, document, letters) == dict.fromkeys(letters, "")


def stated(world, token) -> CohortStatement:
    return read(ConsentStatement, CONSENT_TYP, token, world.verifier)[0].cohort


def test_the_others_go_on_without_the_one_that_left(world, write):
    world.job(COUNT).run()
    document = write()
    accepted(world, document)
    job = world.job(COUNT, names="abc")
    consents = job.consent()
    expected = CohortStatement.of("fixed", [node_names("abc")], bytes.fromhex(document.id))
    assert [stated(world, token) for token in consents] == [expected] * 3
    assert job.answer(job.run()).rows == ((90,),)
    larger = world.job(COUNT)
    assert world.refusal(larger.open(world.nodes["a"], larger.consent())).code == "cohort_differs"


def test_a_newcomer_comes_in(world, write):
    world.job(COUNT, names="abc").run()
    accepted(world, write(["abc"], "abcd"))
    job = world.job(COUNT)
    assert job.answer(job.run()).rows == ((114,),)


def test_a_spoilt_cohort_is_mended(world, write):
    large, small = world.job(COUNT), world.job(COUNT, names="abc", by="two")
    consents = [large.consent(), small.consent()]
    seals = [large.seal(consents[0]), small.seal(consents[1])]
    assert isinstance(large.complete(world.nodes["a"], seals[0])[0], Release)
    assert isinstance(small.complete(world.nodes["b"], seals[1])[0], Release)
    both = write(["abc", "abcd"], "abcd")
    assert give(world, write(["abc"], "abcd"), "ab") == {"a": "cohort_not_named", "b": ""}
    accepted(world, write(["abc", "abcd"], "abcd", serial=2))
    assert give(world, both, "b") == {"b": "reopening_superseded"}
    job = world.job(SUM)
    assert job.answer(job.run()).rows


def test_it_outlives_a_restart_and_is_told_twice_without_harm(world, write):
    world.job(COUNT).run()
    document = write()
    accepted(world, document)
    accepted(world, document)
    for node in world.nodes.values():
        node.start()
    accepted(world, document)
    job = world.job(COUNT, names="abc")
    assert job.answer(job.run()).rows == ((90,),)


def test_a_member_that_has_not_heard_of_it_is_named(world, write):
    world.job(COUNT).run()
    accepted(world, write(), "abd")
    job = world.job(COUNT, names="abc", at_least=3)
    late = world.nodes["c"].name
    assert world.refusal(job.offer(world.nodes["c"])).code == "cohort_differs"
    assert late in job.spec.members


def test_a_newcomer_that_has_not_heard_of_it_is_named(world, write):
    world.job(COUNT, names="abc").run()
    accepted(world, write(["abc"], "abcd"), "abc")
    job = world.job(COUNT)
    consents = job.consent()
    refusal = world.refusal(job.open(world.nodes["a"], consents))
    assert refusal.code == "reopening_differs"
    assert world.nodes["d"].name in refusal.message
    assert world.refusal(job.open(world.nodes["d"], consents)).code == "reopening_differs"


def test_a_job_that_is_open_is_not_released_for_the_old_cohort(world, write):
    world.job(COUNT).run()
    job = world.job(SUM)
    seals = job.seal(job.consent())
    released = job.complete(world.nodes["b"], seals)
    accepted(world, write())
    assert isinstance(released[0], Release)
    assert world.refusal(job.complete(world.nodes["a"], seals)).code == "cohort_differs"
    # What was released before is given again: the sum still wants the others.
    assert job.complete(world.nodes["b"], seals) == released


def test_a_job_that_waits_states_the_new_cohort_when_it_is_offered_again(world, write):
    world.job(COUNT).run()
    job, document = world.job(COUNT, at_least=3), write()
    three = job.nodes[:3]
    before = job.consent(three)
    assert all(stated(world, token).reopening == b"" for token in before)
    accepted(world, document)
    after = job.consent(three)
    assert not set(before) & set(after)
    seals = job.seal(after, three)
    assert job.answer(job.unseal(after, seals, job.release(seals, three))).rows == ((90,),)


@pytest.mark.parametrize("cohort", ["fixed", "same-question"])
def test_it_binds_every_question_under_both_rules(world, write, make_rule, cohort):
    for node in world.nodes.values():
        node.judge_by(Policy((make_rule(cohort=cohort),)))
    world.job(COUNT).run()
    accepted(world, write())
    other = world.job(SUM, names="abd")
    consents = [token for node in other.nodes for token in (one.token for one in other.offer(node))]
    if cohort == "same-question":
        assert world.refusal(other.open(world.nodes["a"], consents)).code == "cohort_differs"
    else:
        assert world.refusal(other.offer(world.nodes["a"])).code == "cohort_differs"
    job = world.job(COUNT, names="abc")
    assert job.answer(job.run()).rows == ((90,),)


def test_the_strictest_rule_outlives_it(world, write, make_rule):
    world.job(COUNT).run()
    accepted(world, write())
    node = world.nodes["a"]
    node.judge_by(Policy((make_rule(cohort="free"),)))
    [answer] = world.job(COUNT, names="abc").offer(node)
    assert stated(world, answer.token).rule == "fixed"


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("signature_missing", {"signers": "abc"}),
        ("signature_missing", {"signers": "bcd"}),
        ("dataset_not_joined", {"dataset": "ab" * 32}),
        ("reopening_expired", {"expires": 1}),
        ("cohort_not_named", {"old": ["abd"], "new": "abc"}),
    ],
)
def test_what_a_node_does_not_accept_changes_nothing(world, write, code, changes):
    world.job(COUNT).run()
    assert give(world, write(**changes), "a") == {"a": code}
    assert world.nodes["a"].journal.scope("clinic", UNIVERSITY).reopened is None
    assert world.refusal(world.job(COUNT, names="abc").offer(world.nodes["a"])).code == "cohort_differs"


def test_a_node_that_it_does_not_concern_refuses_it(world, write):
    world.job(COUNT, names="abc").run()
    assert give(world, write(["abc"], "abd", signers="abcd"), "d") == {"d": ""}
    world.add("e", [(50, 1, "no")] * 20)
    assert give(world, write(["abc"], "abd"), "e") == {"e": "not_concerned"}


def test_an_older_one_does_not_come_back(world, write):
    world.job(COUNT).run()
    first, second = write(), write(["abc"], "abcd", serial=2)
    accepted(world, first)
    accepted(world, second)
    assert give(world, first) == dict.fromkeys("abcd", "reopening_superseded")
    job = world.job(COUNT)
    assert job.answer(job.run()).rows == ((114,),)


def test_what_cannot_be_read_is_not_answered(world):
    for text in (b"", b"{}", b'{"payload":"e30=","signatures":[]}'):
        answers = world.nodes["a"].runner.handle(ReopenCohort(text))
        assert all(isinstance(one, AnsweredReopening) for one in answers)
        assert len(answers) == (1 if b"payload" in text else 0)


def test_another_organisations_cohort_stays(world, write, make_rule):
    for node in world.nodes.values():
        node.judge_by(Policy((make_rule(analysts=("spiffe://kapok.test/org/*/analyst/*",)),)))
    for organisation in ("university", "institute"):
        world.job(COUNT, organisation=organisation).run()
    accepted(world, write())
    job = world.job(COUNT, names="abc", organisation="institute")
    assert world.refusal(job.offer(world.nodes["a"])).code == "cohort_differs"


@pytest.fixture
def home(world, dataset_hash):
    """A node's folder as a daemon has it, with the identity that its people verify by."""
    node = world.nodes["a"]
    source = f'[datasets.clinic.source]\nformat = "csv"\npath = "{node.csv}"\n'
    (node.home / "node.toml").write_text(
        f'broker = "127.0.0.1:1"\nstate = "."\n[datasets.clinic]\nhash = "{dataset_hash}"\n{source}'
    )
    identity = node.home / "identity"
    identity.mkdir(mode=0o700)
    for name, content in {
        "key.pem": node.credentials.key_pem(),
        "certificate.pem": node.credentials.certificate_pem,
        "root.pem": node.credentials.root_pem,
    }.items():
        (identity / name).write_bytes(content)
        (identity / name).chmod(0o600)
    return node.home


def test_the_holders_people_accept_it_from_a_file_beside_the_running_node(world, write, home, tmp_path):
    world.job(COUNT).run()
    [before] = reopenings.show(home)
    assert (before.asset, before.organisation) == ("clinic", UNIVERSITY)
    assert (before.cohorts, before.serial) == ((node_names("abcd"),), 0)
    document, file = write(), tmp_path / "reopening.json"
    file.write_bytes(document.to_json())
    assert reopenings.accept(home, file, clock=world.clock) == (document, True)
    assert reopenings.accept(home, file, clock=world.clock) == (document, False)
    [after] = reopenings.show(home)
    assert (after.cohorts, after.serial, after.reopening) == ((node_names("abc"),), 1, document.id)
    accepted(world, document, "bcd")
    job = world.job(COUNT, names="abc")
    assert job.answer(job.run()).rows == ((90,),)
    mirrored = (home / "instance").read_text()
    world.nodes["a"].start()
    assert (home / "instance").read_text() >= mirrored


def test_a_file_that_is_none_or_not_signed_is_refused(world, write, home, tmp_path):
    world.job(COUNT).run()
    file = tmp_path / "reopening.json"
    for content, code in (
        (None, "no_file"),
        (b"{", "bad_statement"),
        (write(signers="abc").to_json(), "signature_missing"),
    ):
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(KapokError) as caught:
            reopenings.accept(home, file, clock=world.clock)
        assert caught.value.code == code
