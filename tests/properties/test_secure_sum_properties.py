"""Properties of the masked sum over its edges: exactness, cancellation, framing, and the promise of the
cohort rule."""

import secrets
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.parties import Authority, exchange

from kapok.errors import KapokError
from kapok.protocols.secure_sum import aggregator, tag
from kapok.protocols.secure_sum.cohort import CohortStatement, PastRelease, check_release, check_roster
from kapok.protocols.secure_sum.context import Context
from kapok.protocols.secure_sum.framing import framed
from kapok.protocols.words import WordVector

WIDTHS = [8, 16, 24, 32, 64, 72, 128, 192]


@pytest.fixture(scope="module")
def parties():
    """Keys that all examples share: names and signatures are not what varies."""
    authority = Authority()
    return authority, [authority.enrol(letter, f"spiffe://kapok.test/org/{letter}") for letter in "abcdef"]


@st.composite
def contributions(draw):
    bits = draw(st.sampled_from(WIDTHS))
    parties = draw(st.integers(3, 6))
    words = draw(st.integers(1, 9))
    most = 2 ** (bits - 1) // 8
    value = st.one_of(st.sampled_from([0, 1, -1, most - 1, -most]), st.integers(-most, most - 1))
    return bits, [draw(st.lists(value, min_size=words, max_size=words)) for _ in range(parties)]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=contributions())
def test_the_sum_is_exact_and_the_order_of_folding_does_not_matter(parties, case):
    bits, values = case
    authority, identities = parties
    job = exchange(values, word_bits=bits, authority=authority, identities=identities[: len(values)])
    sealed = job.seal_all()
    assert job.open_sum(sealed).words == job.truth()
    assert job.fold_all(sealed) == job.fold_all(sealed[::-1])


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=contributions(), data=st.data())
def test_any_shift_of_any_word_is_refused(parties, case, data):
    bits, values = case
    authority, identities = parties
    job = exchange(values, word_bits=bits, authority=authority, identities=identities[: len(values)])
    sealed = job.seal_all()
    body = bytearray(b"".join(job.fold_all(sealed)))
    place = data.draw(st.integers(0, len(body) - 1))
    body[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(KapokError):
        job.open_sum(sealed, sum_chunks=[bytes(body)])


field = st.one_of(st.binary(max_size=12), st.text(max_size=6), st.integers(0, 2**64 - 1))


def plain(piece):
    return (
        piece.encode()
        if isinstance(piece, str)
        else piece.to_bytes(8, "big")
        if isinstance(piece, int)
        else piece
    )


@given(one=st.lists(field, max_size=5), two=st.lists(field, max_size=5))
def test_framing_keeps_different_fields_apart(one, two):
    same = [plain(piece) for piece in one] == [plain(piece) for piece in two]
    assert (framed(*one) == framed(*two)) is same


@settings(max_examples=60, deadline=None)
@given(
    bits=st.sampled_from(WIDTHS),
    data=st.data(),
    block=st.sampled_from([1, 3, 1 << 16]),
)
def test_tags_are_linear(bits, data, block):
    quarter = 2 ** (bits - 2)
    vector = st.lists(st.integers(-quarter, quarter - 1), min_size=5, max_size=5)
    one, two = data.draw(vector), data.draw(vector)
    seed = secrets.token_bytes(32)
    context = Context(job_id=bytes(32), round=1, attempt=1, roster_hash=bytes(32), params_hash=bytes(32))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tag, "_BLOCK_WORDS", block)
        tags = [
            tag.tag_of(WordVector.from_integers(values, bits), seed, context)
            for values in (one, two, [a + b for a, b in zip(one, two, strict=True)])
        ]
    assert (tags[0] + tags[1] - tags[2]) % 2 ** (bits + 64) == 0


@given(bits=st.sampled_from(WIDTHS), words=st.integers(1, 400_000), members=st.integers(3, 256))
def test_chunks_tile_the_vector(bits, words, members):
    terms = replace(exchange_terms(), words=words, word_bits=bits)
    lengths = aggregator.chunk_lengths(terms, members)
    assert sum(lengths) == aggregator.vector_bytes(terms, members) == words * bits // 8 + bits // 8 + 8
    assert all(0 < length <= 256 * 1024 and length % (bits // 8) == 0 for length in lengths[:-1])
    assert bits // 8 + 8 not in lengths[:-1]


_TERMS = []


def exchange_terms():
    if not _TERMS:
        _TERMS.append(exchange().terms)
    return _TERMS[0]


NODES = "abcdefg"
steps = st.lists(
    st.tuples(
        st.frozensets(st.sampled_from(NODES), min_size=3), st.permutations(list(NODES)), st.integers(0, 7)
    ),
    max_size=12,
)


@settings(max_examples=150)
@given(plan=steps)
def test_two_opened_sums_share_all_honest_nodes_or_none(plan):
    """The promise of the rule `fixed`, under any order of jobs, of which any number of releases may be asked
    for."""
    journals: dict[str, list[PastRelease]] = {node: [] for node in NODES}
    opened: list[tuple[str, ...]] = []
    pending: list[tuple[PastRelease, set[str]]] = []
    for number, (roster, order, how_many) in enumerate(plan):
        names = tuple(sorted(roster))
        stated = {
            node: CohortStatement.of("fixed", [past.names for past in journals[node]]) for node in names
        }
        try:
            for node in names:
                check_roster(stated[node], names, stated)
        except KapokError:
            continue
        wanted = PastRelease(
            job_id=bytes([number]) * 32,
            round=1,
            attempt=1,
            roster_hash=bytes(32),
            names=names,
            params_hash=bytes(32),
        )
        pending.append((wanted, set()))
        for release, done in pending:
            for node in [one for one in order if one in release.names][:how_many]:
                try:
                    check_release("fixed", release, journals[node])
                except KapokError:
                    continue
                journals[node].append(release)
                done.add(node)
            if done == set(release.names):
                opened.append(release.names)
    for one in opened:
        for two in opened:
            assert one == two or not set(one) & set(two)
