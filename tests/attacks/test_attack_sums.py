"""Attacks on the sum itself: a broker without a colluding node shifts, scales, replaces or spoils it.

The tag must refuse every one; without the tag the shifted result must come out, or the attack would show
nothing.
"""

import itertools
import random
import secrets

import pytest
from support.collusion import masked_words
from support.parties import exchange

from kapok.errors import KapokError, SealBroken
from kapok.protocols.paillier.vector import CiphertextVector
from kapok.protocols.secure_sum import analyst, sealing, tag
from kapok.protocols.secure_sum.context import Context
from kapok.protocols.secure_sum.vector import layout
from kapok.protocols.words import WordVector

both_ways = pytest.mark.parametrize("defended", [True, False], ids=["defended", "defence removed"])
PRIMES = (3, 5, 7, 65_537, 2**31 - 1, 2**61 - 1, 3 * 5 * 7 * 11 * 13 * 17 * 19 * 23 * 29 * 31)
SHIFTS = [1, -1, *PRIMES, *(2**power for power in (1, 8, 31, 32, 61, 62)), 10**15]


def outcome(job, sealed, chunks):
    """The words that the analyst reads, or None when it refuses the sum."""
    try:
        return job.open_sum(sealed, sum_chunks=chunks).words
    except SealBroken:
        return None


def shifted_pad(job, sealed, word, shift):
    """The folded vector with a constant added to one word."""
    *data, tag_chunk = job.fold_all(sealed)
    words = WordVector.from_bytes(b"".join(data), job.terms.word_bits)
    added = [0] * job.terms.words
    added[word] = shift
    return [words.add(WordVector.from_integers(added, job.terms.word_bits)).to_bytes(), tag_chunk]


def multiplied(job, sealed, ciphertext, exponent):
    """The folded vector with one ciphertext multiplied by (1+N)^k: needs the public key only."""
    key = job.result_key.public
    ciphertexts = CiphertextVector.from_body(key, b"".join(job.fold_all(sealed))).to_integers(key)
    factor = 1 + exponent * key.n
    ciphertexts[ciphertext] = ciphertexts[ciphertext] * factor % key.n**2
    return [CiphertextVector.from_integers(key, ciphertexts).body]


@pytest.fixture(scope="module")
def padded():
    job = exchange()
    return job, job.seal_all()


@pytest.fixture(scope="module")
def encrypted(paillier_key_2048):
    job = exchange(result_key=paillier_key_2048)
    return job, job.seal_all()


@both_ways
@pytest.mark.parametrize("shift", SHIFTS)
def test_broker_adds_a_constant_to_a_padded_sum(padded, shift, defended, monkeypatch):
    job, sealed = padded
    if not defended:
        monkeypatch.setattr(analyst, "_check_tag", lambda *_: None)
    for word in range(3):
        expected = job.truth()
        expected[word] += shift
        read = outcome(job, sealed, shifted_pad(job, sealed, word, shift))
        assert read == (None if defended else expected)


@both_ways
@pytest.mark.parametrize("shift", SHIFTS)
def test_broker_multiplies_an_encrypted_sum(encrypted, shift, defended, monkeypatch):
    job, sealed = encrypted
    if not defended:
        monkeypatch.setattr(analyst, "_check_tag", lambda *_: None)
    slot = layout(job.terms, 4).slot_bits
    expected = job.truth()
    expected[1] += shift
    read = outcome(job, sealed, multiplied(job, sealed, 0, shift << slot))
    assert read in ((None,) if defended else (None, expected))
    assert defended or shift < 0 or read == expected


@pytest.mark.parametrize("power", [0, 1, 63, 64, 65, 66, 127, 128, 500, 1000, 2045, 2046, 2047])
@pytest.mark.parametrize("factor", [1, 3, 2**61 - 1])
def test_broker_shifts_any_bit_of_a_plaintext(encrypted, power, factor):
    """Bits above a word are carries, which are dropped: there a shift may change nothing, and nothing
    else."""
    job, sealed = encrypted
    read = outcome(job, sealed, multiplied(job, sealed, 0, factor << power))
    assert read in (None, job.truth())
    assert read is None or power in (64, 65)


@pytest.mark.parametrize("power", range(0, 64, 7))
def test_broker_shifts_word_and_tag_together(padded, power):
    """Without the seed the tag's shift is a guess: powers of two leave the fewest bits, and still 64."""
    job, sealed = padded
    *data, tag_chunk = shifted_pad(job, sealed, 0, 2**power if power < 63 else -(2**63))
    guesses = [0, 1, 2**power, 2**127, 2 ** (power + 64), secrets.randbits(128)]
    for guess in guesses:
        guessed = (int.from_bytes(tag_chunk, "little") + guess) % 2**128
        assert outcome(job, sealed, [*data, guessed.to_bytes(16, "little")]) is None


def test_a_prime_modulus_below_a_word_would_let_its_multiples_pass():
    """Why the tag is reduced modulo 2^(b+64): modulo a prime the same shifts are invisible."""
    context = Context(job_id=bytes(32), round=1, attempt=1, roster_hash=bytes(32), params_hash=bytes(32))
    seed = secrets.token_bytes(32)
    honest = [1234, -99, 7]
    for prime in PRIMES[:-1]:
        shifted = [honest[0], honest[1] + prime, honest[2]]
        coefficients = [secrets.randbelow(prime) for _ in honest]
        pairs = [list(zip(coefficients, words, strict=True)) for words in (honest, shifted)]
        by_prime = {sum(a * x for a, x in pair) % prime for pair in pairs}
        ours = {tag.tag_of(WordVector.from_integers(words, 64), seed, context) for words in (honest, shifted)}
        assert (len(by_prime), len(ours)) == (1, 2)


@pytest.mark.parametrize("times", [0, 2, 3, -1])
def test_broker_scales_the_sum(padded, times):
    job, sealed = padded
    *data, tag_chunk = job.fold_all(sealed)
    words = WordVector.from_bytes(b"".join(data), 64)
    scaled = [value * times % 2**64 for value in words.to_integers()]
    tag_word = int.from_bytes(tag_chunk, "little") * times % 2**128
    body = b"".join(value.to_bytes(8, "little") for value in scaled) + tag_word.to_bytes(16, "little")
    assert outcome(job, sealed, [body]) is None


def test_broker_leaves_a_vector_out_or_folds_it_twice(padded):
    job, sealed = padded
    for chosen in ([0, 1, 2], [0, 1, 2, 3, 3], [0, 0, 1, 2], [0]):
        assert outcome(job, sealed, job.fold_all([sealed[index] for index in chosen])) is None


def test_broker_hands_out_the_sum_of_another_attempt_or_job(padded):
    job, sealed = padded
    other = exchange()
    assert outcome(job, sealed, other.fold_all(other.seal_all())) is None
    again = exchange(rounds=2)
    first, second = again.seal_all(), again.seal_all(attempt=2)
    assert outcome(again, first, again.fold_all(second)) is None
    assert outcome(again, first, again.fold_all(first)) == again.truth()


@pytest.mark.parametrize("seal", ["pad", "paillier"])
def test_a_node_seals_noise_in_the_place_of_a_word(seal, paillier_key_2048, monkeypatch):
    """A wrong vector with a right signature: detected, and nobody is named for it."""
    job = exchange(result_key=paillier_key_2048 if seal == "paillier" else None)
    honest = sealing.mask

    def noisy(terms, *args, **kwargs):
        words, tag_word = honest(terms, *args, **kwargs)
        return words.add(WordVector.from_integers([secrets.randbits(40) + 1, 0, 0], 64)), tag_word

    monkeypatch.setattr(sealing, "mask", noisy)
    noise = job.seal(3, job.open(3, job.consents()))
    monkeypatch.setattr(sealing, "mask", honest)
    sealed = [*(job.seal(index, job.open(index, job.consents())) for index in range(3)), noise]
    with pytest.raises(SealBroken) as error:
        job.open_sum(sealed)
    assert (error.value.code, error.value.party) == ("tag_differs", None)


def survivors(total, carries, coefficients, modulus, parties=3):
    """Which splits of a known total have the carries that were seen, one for each repeat."""
    splits = [
        split
        for split in itertools.combinations_with_replacement(range(total + 1), parties)
        if sum(split) == total
    ]
    return [
        split
        for split in splits
        if all(
            sum(a * x % modulus for x in split) // modulus == carry
            for a, carry in zip(coefficients, carries, strict=True)
        )
    ]


def repeats(truth, times):
    """The same question again and again, each with a fresh seed."""
    job = exchange([[value] for value in truth], rounds=times)
    for number in range(1, times + 1):
        job.tag_seed = secrets.token_bytes(32)
        sealed = job.seal_all(round=number)
        context = sealed[0].record.context
        one = WordVector.from_integers([1], 64)
        yield job, sealed, tag.tag_of(one, job.tag_seed, context)


def test_carries_of_an_unreduced_sum_of_tags_would_tell_three_counts():
    """The break: every holder's tag is reduced, their sum is not. Its carry tells the splits apart."""
    truth = (4, 9, 17)
    source = random.Random(20)
    coefficients = [source.getrandbits(128) for _ in range(40)]
    carries = [sum(a * x % 2**128 for x in truth) // 2**128 for a in coefficients]
    assert survivors(sum(truth), carries, coefficients, 2**128) == [truth]


def test_carries_of_repeated_questions_with_fresh_seeds_tell_nothing():
    """Ours: the same attack on the tag words of forty rounds, before they are folded, loses the truth."""
    truth = (4, 9, 17)
    carries, coefficients = [], []
    for job, sealed, coefficient in repeats(truth, 40):
        tags = [masked_words(job, one)[1] for one in sealed]
        carries.append(sum(tags) // 2**128)
        coefficients.append(coefficient)
    assert truth not in survivors(sum(truth), carries, coefficients, 2**128)


def test_the_analyst_gets_tags_reduced():
    """What is folded under ``pad`` has no room for a carry."""
    for job, sealed, _ in repeats((4, 9, 17), 5):
        assert len(job.fold_all(sealed)[-1]) == job.terms.tag_bits // 8
        number = sealed[0].record.round
        assert job.open_sum(sealed, round=number).words == [30]


def test_masked_tag_words_are_uniform_over_their_whole_width():
    """The highest bits too: a mask that were narrower than the tag would leave its top in the open."""
    job = exchange(rounds=300)
    tops = []
    for number in range(1, 301):
        job.tag_seed = secrets.token_bytes(32)
        sealed = job.seal(0, job.open(0, job.consents(), round=number))
        tops.append(masked_words(job, sealed)[1] >> 124)
    assert set(tops) == set(range(16))


def test_suppressed_words_do_not_open_through_the_tag():
    """The tag is over the words as sent: random words in a suppressed cell are random in the tag as well."""
    job = exchange([[5, secrets.randbits(50)], [6, secrets.randbits(50)], [7, 1]])
    sealed = job.seal_all()
    opened = job.open_sum(sealed)
    context = sealed[0].record.context
    honest = WordVector.from_integers([18, 3], 64)
    assert opened.words[0] == 18
    sent = WordVector.from_integers(opened.words, 64)
    assert tag.tag_of(sent, job.tag_seed, context) != tag.tag_of(honest, job.tag_seed, context)


def test_every_refusal_is_an_error_of_kapok(padded):
    job, sealed = padded
    for chunks in ([b""], [b"\x00" * 40], [b"\xff" * 40], [b"\x00" * 39], itertools.repeat(b"x" * 1000, 10)):
        with pytest.raises(KapokError):
            job.open_sum(sealed, sum_chunks=chunks)
