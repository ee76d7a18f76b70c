"""Attacks on who takes part, with which keys, and what each holder was shown.

A dishonest broker and an analyst work together, with or without colluding nodes; the analyst has the
receiver's key, so that a victim's own mask hides nothing from them once it has released. Each attack is run
against the defence, and with the defence taken out, where it must read the victim's contribution.
"""

import base64
import json
from dataclasses import replace

import pytest
from support.collusion import mask_keys, mask_of, masked_words, own_mask, strip
from support.parties import Authority, exchange

from kapok.errors import CohortTooSmall, IdentityInvalid, KapokError, PeerProtocolError
from kapok.protocols.masking.pairwise import MaskKey, derive
from kapok.protocols.secure_sum import roster as roster_module
from kapok.protocols.secure_sum import sealing, tag
from kapok.protocols.secure_sum.cohort import CohortStatement
from kapok.protocols.secure_sum.context import Context
from kapok.protocols.secure_sum.framing import framed
from kapok.protocols.secure_sum.holder import Attempt
from kapok.protocols.secure_sum.messages import CONSENT_TYP, ConsentStatement, encode, read
from kapok.protocols.secure_sum.params import RosterRules, Signed
from kapok.protocols.secure_sum.roster import Roster, read_roster
from kapok.protocols.secure_sum.round_parameters import Parameters
from kapok.protocols.words import WordVector
from kapok.protocols.wraps import WrapKey

both_ways = pytest.mark.parametrize("defended", [True, False], ids=["defended", "defence removed"])
VICTIM = [123, -456, 789]
OTHERS = [[1, 2, 3], [40, 50, 60], [700, 800, 900]]


def job_with_victim(position=0, **changes):
    """Four parties; the victim stands at this place of the roster order."""
    return exchange([*OTHERS[:position], VICTIM, *OTHERS[position:]], **changes)


def consent(job, index, mask_key, *, signer=None, name=None):
    """A consent with a chosen mask key."""
    statement = ConsentStatement(
        job=job.terms.job_id,
        name=name or job.names[index],
        mask_key=mask_key,
        wrap_key=WrapKey.generate().public,
        cohort=CohortStatement("fixed"),
    )
    return (signer or job.identities[index]).sign(CONSENT_TYP, encode(statement))


def unsigned(authority: Authority):
    """A verifier that reads and does not verify: the defence that is taken out."""

    def verify(typ: str, token: str) -> Signed:
        head, body, _ = (base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in token.split("."))
        identity = authority.known[json.loads(head)["name"]]
        honest = authority.__class__.verify(authority, CONSENT_TYP, identity.sign(CONSENT_TYP, b""))
        return replace(honest, payload=body)

    return verify


@both_ways
def test_substituted_keys(defended, monkeypatch):
    """The broker puts mask keys of its own in the place of all others' and reads what is left."""
    job = job_with_victim()
    keys = {name: MaskKey() for name in job.names[1:]}
    forger = Authority().enrol("forger", "spiffe://kapok.test/org/broker")
    consents = [job.consents()[0]]
    for index in (1, 2, 3):
        forger.party = job.identities[index].party
        consents.append(consent(job, index, keys[job.names[index]].public, signer=forger))
    if defended:
        with pytest.raises(IdentityInvalid):
            job.open(0, consents)
        return
    monkeypatch.setattr(job.authority, "verify", unsigned(job.authority))
    sealed = job.seal(0, job.open(0, consents))
    roster = read_roster(job.terms, consents, job.authority)
    assert strip(job, roster, sealed, keys) == VICTIM


def test_one_colluding_node_consents_in_anothers_name():
    """Its signature is good, the name in the statement is another's."""
    job = job_with_victim()
    token = consent(job, 1, MaskKey().public, signer=job.identities[3])
    consents = [*job.consents([0]), token, *job.consents([2, 3])]
    with pytest.raises(PeerProtocolError) as error:
        job.open(0, consents)
    assert error.value.party == job.names[3]


@pytest.mark.parametrize(
    ("distinct", "names", "reads"),
    [(True, True, False), (False, True, False), (True, False, False), (False, False, True)],
    ids=["defended", "equal keys allowed", "names not bound", "both removed"],
)
def test_a_node_registers_an_honest_nodes_key_as_its_own(monkeypatch, distinct, names, reads):
    """Honest 0, victim 1, and 2 with the key of 0: the victim subtracts and adds one and the same mask."""
    if not distinct:
        monkeypatch.setattr(roster_module, "_check_distinct", lambda _members: None)
    if not names:
        monkeypatch.setattr(
            sealing, "pair_info", lambda context, seed, _first, _second: context.encode() + seed
        )
    job = job_with_victim(1)
    honest = read(ConsentStatement, CONSENT_TYP, job.consents()[0], job.authority)[0]
    consents = [*job.consents([0, 1]), consent(job, 2, honest.mask_key), *job.consents([3])]
    if distinct:
        with pytest.raises(PeerProtocolError) as error:
            job.open(1, consents)
        assert (error.value.code, error.value.party) == ("bad_roster", job.names[2])
        return
    sealed = job.seal(1, job.open(1, consents))
    roster = read_roster(job.terms, consents, job.authority)
    assert (strip(job, roster, sealed, mask_keys(job, [3])) == VICTIM) is reads


@pytest.mark.parametrize("change", ["high bit", "plus p"])
def test_a_node_registers_an_honest_key_in_another_encoding(change):
    """X25519 reads both as one key; as bytes they differ, and the check for equal keys would not see it."""
    job = job_with_victim()
    if change == "high bit":
        honest = read(ConsentStatement, CONSENT_TYP, job.consents()[1], job.authority)[0].mask_key
        other = honest[:-1] + bytes([honest[-1] | 0x80])
    else:
        other = (2**255 - 19 + 9).to_bytes(32, "little")
    good = read(ConsentStatement, CONSENT_TYP, job.consents()[2], job.authority)[0]
    raw = encode(good).replace(base64.b64encode(good.mask_key), base64.b64encode(other))
    consents = [*job.consents([0, 1]), job.identities[2].sign(CONSENT_TYP, raw), *job.consents([3])]
    with pytest.raises(PeerProtocolError) as error:
        job.open(0, consents)
    assert (error.value.code, error.value.party) == ("bad_statement", job.names[2])


@both_ways
@pytest.mark.parametrize("u", [0, 1, 2**255 - 20])
def test_a_key_of_small_order(defended, u, monkeypatch):
    """The shared secret would be zero: the broker needs no colluding node to know that mask."""
    job = job_with_victim()
    weak = u.to_bytes(32, "little")
    consents = [*job.consents([0, 1, 2]), consent(job, 3, weak)]
    attempt = job.open(0, consents)
    if defended:
        with pytest.raises(PeerProtocolError) as error:
            job.seal(0, attempt)
        assert (error.value.code, error.value.party) == ("bad_mask_key", job.names[3])
        return
    agree = MaskKey.agree

    def unchecked(self, public, info, *, party):
        return derive(bytes(32), info) if public == weak else agree(self, public, info, party=party)

    monkeypatch.setattr(MaskKey, "agree", unchecked)
    sealed = job.seal(0, attempt)
    commitment = tag.commitment(job.tag_seed, attempt.context)
    victim, weak_member = attempt.roster.members[0], attempt.roster.members[3]
    known = derive(bytes(32), sealing.pair_info(attempt.context, commitment, victim, weak_member))
    mask = mask_of(job, known)
    left = strip(job, attempt.roster, sealed, mask_keys(job, [1, 2]))
    assert WordVector.from_integers(left, 64).subtract(mask.words).to_integers() == VICTIM


@both_ways
def test_phantom_members(defended):
    """Names that nobody holds, or that the broker made up: no certificate, no roster."""
    job = job_with_victim()
    phantoms = Authority()
    keys = {name: MaskKey() for name in job.names[1:]}
    consents = job.consents([0])
    for index in (1, 2, 3):
        phantom = phantoms.enrol("bcd"[index - 1], job.identities[index].party.organisation)
        consents.append(consent(job, index, keys[job.names[index]].public, signer=phantom))
    if not defended:
        job.authority.known.update(phantoms.known)
        sealed = job.seal(0, job.open(0, consents))
        assert strip(job, read_roster(job.terms, consents, job.authority), sealed, keys) == VICTIM
        return
    with pytest.raises(IdentityInvalid):
        job.open(0, consents)


@both_ways
def test_phantom_members_of_one_colluding_organisation(defended, monkeypatch):
    """One organisation enrols as many nodes as it likes: they count as one."""
    if not defended:
        monkeypatch.setattr("kapok.protocols.secure_sum.holder.check_rules", lambda *_: None)
    owners = ["spiffe://kapok.test/org/" + one for one in ("victim", "x", "x", "x")]
    job = job_with_victim(organisations=owners)
    if defended:
        with pytest.raises(CohortTooSmall) as error:
            job.open(0, job.consents())
        assert error.value.code == "too_few_parties"
        return
    attempt = job.open(0, job.consents())
    assert strip(job, attempt.roster, job.seal(0, attempt), mask_keys(job, [1, 2, 3])) == VICTIM


def test_one_node_under_two_consents_does_not_count_twice():
    job = job_with_victim(at_least=3)
    twice = [*job.consents([0, 1, 2]), job.holder(job.identities[2]).consent()]
    with pytest.raises(PeerProtocolError) as error:
        job.open(0, twice)
    assert (error.value.code, error.value.party) == ("bad_roster", job.names[2])


def without(field):
    """A context that does not bind one of its fields: the defence that is taken out."""
    fields = [name for name in ("job_id", "round", "attempt", "roster_hash", "params_hash") if name != field]
    return lambda self: framed(*(getattr(self, name) for name in fields))


def opened_by_colluders(job, sealed):
    """The folded words less all own masks, no check made: what a broker and an analyst have in hand."""
    total = WordVector.zeros(job.terms.words, job.terms.word_bits)
    for one in sealed:
        total = total.add(masked_words(job, one)[0]).subtract(own_mask(job, one).words)
    return total.to_integers()


@both_ways
def test_rosters_equivocated_between_nodes(defended, monkeypatch):
    """Two honest nodes see the colluding fourth with one key, the third with another: three different sums at
    will."""
    if not defended:
        monkeypatch.setattr(Context, "encode", without("roster_hash"))
    job = job_with_victim()
    other_key = MaskKey()
    shown = [job.consents()] * 2 + [[*job.consents([0, 1, 2]), consent(job, 3, other_key.public)]]
    sealed = [job.seal(index, job.open(index, shown[index])) for index in range(3)]
    assert len({one.record.roster for one in sealed}) == 2
    left = opened_by_colluders(job, sealed)
    commitment = tag.commitment(job.tag_seed, sealed[0].record.context)
    roster = read_roster(job.terms, job.consents(), job.authority)
    for one, key in zip(sealed, (job.holders[3]._mask_key, job.holders[3]._mask_key, other_key), strict=True):
        victim = roster.member(one.record.name)
        colluder = replace(roster.members[3], mask_key=key.public)
        info = sealing.pair_info(one.record.context, commitment, victim, colluder)
        mask = mask_of(job, key.agree(victim.mask_key, info, party=victim.name))
        left = WordVector.from_integers(left, 64).subtract(mask.words).to_integers()
    assert (left == job.truth([0, 1, 2])) is not defended


def test_rosters_equivocated_between_nodes_are_noticed_before_any_release():
    job = job_with_victim()
    shown = [job.consents()] * 2 + [[*job.consents([0, 1, 2]), consent(job, 3, MaskKey().public)]]
    sealed = [job.seal(index, job.open(index, shown[index])) for index in range(3)]
    sealed.append(job.seal(3, job.open(3, job.consents())))
    with pytest.raises(PeerProtocolError) as error:
        job.release_all(sealed)
    assert (error.value.code, error.value.party) == ("wrong_attempt", job.names[2])


@both_ways
def test_parameters_that_differ_between_nodes(defended, monkeypatch):
    """All but the victim get parameters under which they contribute nothing; the sum would be the victim's
    alone."""
    if not defended:
        monkeypatch.setattr(Context, "encode", without("params_hash"))
    job = job_with_victim(rounds=2)
    consents = job.consents()
    shown = [Parameters(b"the real model", job.tag_seed)] + [Parameters(b"zero", job.tag_seed)] * 3
    sealed = []
    for index, parameters in enumerate(shown):
        attempt = job.holders[index].open(round=1, attempt=1, consents=consents, params_hash=parameters.hash)
        sealed.append(job.seal(index, attempt, VICTIM if index == 0 else [0, 0, 0]))
    assert (opened_by_colluders(job, sealed) == VICTIM) is not defended


def test_parameters_that_differ_between_nodes_are_noticed_before_any_release():
    job = job_with_victim()
    sealed = [job.seal(index, job.open(index, job.consents())) for index in (0, 1, 2)]
    attempt = job.holders[3].open(round=1, attempt=1, consents=job.consents(), params_hash=bytes(32))
    sealed.append(job.seal(3, attempt))
    with pytest.raises(PeerProtocolError) as error:
        job.release_all(sealed)
    assert (error.value.code, error.value.party) == ("wrong_attempt", job.names[3])


def solve_two(total, tag_total, first_seed, second_seed, context):
    """x and y from x + y and a·x + c·y (mod 2^128): what two seeds give an analyst for one word each."""
    one = WordVector.from_integers([1], 64)
    a, c = tag.tag_of(one, first_seed, context), tag.tag_of(one, second_seed, context)
    modulus = 2**128
    right, factor = (tag_total - c * total) % modulus, (a - c) % modulus
    twos = (factor & -factor).bit_length() - 1
    x = (right >> twos) * pow(factor >> twos, -1, modulus >> twos) % (modulus >> twos)
    x -= (modulus >> twos) if x >> (127 - twos) else 0
    return x, total - x


@both_ways
def test_another_tag_seed_for_each_node(defended, monkeypatch):
    """Tags under different seeds are one more equation: with two honest nodes, sum and tag give both
    contributions."""
    if not defended:
        monkeypatch.setattr(tag, "commitment", lambda _seed, _context: bytes(32))
    job = exchange([[VICTIM[0]], [40], [5], [6]])
    consents, seeds = job.consents(), [b"1" * 32, b"2" * 32, b"1" * 32, b"1" * 32]
    sealed = []
    for index, seed in enumerate(seeds):
        words = WordVector.from_integers(job.contributions[index], 64)
        attempt = job.open(index, consents)
        sealed.append(job.holders[index].seal(attempt, words, tag_seed=seed, data_version="v"))
    context = sealed[0].record.context
    total = opened_by_colluders(job, sealed)[0] - 11
    tags = sum(masked_words(job, one)[1] - own_mask(job, one).tag for one in sealed)
    tags -= sum(tag.tag_of(WordVector.from_integers([known], 64), seeds[0], context) for known in (5, 6))
    assert (solve_two(total, tags, *seeds[:2], context) == (VICTIM[0], 40)) is not defended


@pytest.mark.parametrize("position", [0, 1, 2, 3])
@pytest.mark.parametrize("seal", ["pad", "paillier"])
def test_all_but_two_collude(position, seal, paillier_key_2048):
    """Analyst, broker and the other two organisations: the honest two's sum is theirs, neither contribution
    is."""
    job = job_with_victim(position, result_key=paillier_key_2048 if seal == "paillier" else None)
    honest = (position, (position + 1) % 4)
    sealed = job.seal_all()
    roster = read_roster(job.terms, job.consents(), job.authority)
    keys = mask_keys(job, [index for index in range(4) if index not in honest])
    left = [strip(job, roster, sealed[index], keys) for index in honest]
    together = WordVector.from_integers(left[0], 64).add(WordVector.from_integers(left[1], 64)).to_integers()
    assert together == job.truth(honest)
    for index, vector in zip(honest, left, strict=True):
        assert all(seen != true for seen, true in zip(vector, job.contributions[index], strict=True))


def test_all_but_one_collude():
    """The limit of the claim, and the proof that the colluders' reading above is as strong as it can be."""
    job = job_with_victim(2)
    sealed = job.seal_all()
    roster = read_roster(job.terms, job.consents(), job.authority)
    assert strip(job, roster, sealed[2], mask_keys(job, [0, 1, 3])) == VICTIM


def test_what_all_but_two_see_fits_every_split_of_their_sum():
    """For any other split there are masks that give the same view: two exchanges with one sum look alike."""
    seen = []
    for split in ([[10], [90]], [[99], [1]]):
        job = exchange([*split, [5], [6]])
        sealed = job.seal_all()
        roster = read_roster(job.terms, job.consents(), job.authority)
        seen.append([strip(job, roster, sealed[index], mask_keys(job, [2, 3]))[0] for index in (0, 1)])
    assert sum(seen[0]) % 2**64 == sum(seen[1]) % 2**64 == 100
    assert all(abs(value) > 2**32 for view in seen for value in view)


def test_an_attempt_made_by_hand_does_not_open_a_smaller_roster():
    """Even a caller that skips `open` cannot have a holder seal for a roster that it is not in with its
    keys."""
    job = job_with_victim()
    attempt = job.open(0, job.consents())
    others = [replace(member, mask_key=MaskKey().public) for member in attempt.roster.members[1:]]
    roster = Roster(job.terms.job_id, (replace(attempt.roster.members[0], consent=b""), *others))
    with pytest.raises(KapokError):
        job.seal(0, Attempt(replace(attempt.context, roster_hash=roster.hash), roster))


def test_a_required_party_with_another_key():
    """The policy pins a party by its key: an authority that issues a second certificate for its name gains
    nothing."""
    job = job_with_victim()
    pinned = read_roster(job.terms, job.consents(), job.authority).members[1].key_fingerprint
    rules = RosterRules(min_parties=3, required={job.names[1]: pinned})
    job.holders[0] = job.holder(job.identities[0], rules=rules)
    job.open(0, job.consents())
    twin = job.authority.enrol("b", job.identities[1].party.organisation)
    consents = [*job.consents([0]), consent(job, 1, MaskKey().public, signer=twin), *job.consents([2, 3])]
    with pytest.raises(KapokError) as error:
        job.open(0, consents)
    assert (error.value.code, error.value.party) == ("party_required", job.names[1])
