"""Packing over all its edges: parties, widths, extreme words, tags beside and apart from the data."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from support.digits import digits_of, with_digits

from kapok.protocols.paillier.packing import SlotLayout
from kapok.protocols.words import WordVector


@st.composite
def layouts(draw: st.DrawFn) -> SlotLayout:
    word_bits = 8 * draw(st.integers(1, 24))
    parties = draw(st.sampled_from([1, 2, 3, 4, 5, 127, 128, 129, 255, 256]) | st.integers(1, 256))
    key_bits = draw(st.sampled_from([2048, 3072, 4096]))
    slots = SlotLayout(key_bits, 1, word_bits, word_bits + 64, parties).slots_per_digit
    # Around whole digits the tag just fits, or just does not.
    near = st.builds(lambda full, off: max(1, full * slots - off), st.integers(1, 3), st.integers(-2, 30))
    words = draw(st.integers(1, 60) | near)
    return SlotLayout(key_bits, words, word_bits, word_bits + 64, parties, draw(st.integers(1, 4)))


def contributions(draw: st.DrawFn, layout: SlotLayout) -> tuple[list[int], int]:
    top, tag_top = (1 << layout.word_bits) - 1, (1 << layout.tag_bits) - 1
    half = 1 << (layout.word_bits - 1)
    word = st.sampled_from([0, 1, half - 1, half, top]) | st.integers(0, top)
    # A short pattern repeated: slots beside each other differ, and drawing stays cheap.
    pattern = draw(st.lists(word, min_size=1, max_size=5))
    words = (pattern * (layout.words // len(pattern) + 1))[: layout.words]
    return words, draw(st.sampled_from([0, 1, tag_top]) | st.integers(0, tag_top))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_unpacking_a_packed_vector_gives_it_back(data: st.DataObject) -> None:
    layout = data.draw(layouts())
    words, tag = contributions(data.draw, layout)
    vector = WordVector.from_integers(words, layout.word_bits, signed=False)
    packed = layout.pack(vector, tag)
    assert len(packed) == layout.plaintexts
    assert all(digit < 1 << (layout.key_bits - 2) for digit in digits_of(packed))
    assert layout.unpack(packed) == (vector, tag)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_sums_of_plaintexts_unpack_to_modular_sums(data: st.DataObject) -> None:
    """Up to four different contributions, the last repeated until all parties have one."""
    layout = data.draw(layouts())
    parts = [contributions(data.draw, layout) for _ in range(min(layout.parties, 4))]
    copies = [1] * (len(parts) - 1) + [layout.parties - len(parts) + 1]
    sums = [0] * (layout.plaintexts * layout.degree)
    expected = [0] * layout.words
    expected_tag = 0
    for (words, tag), repeat in zip(parts, copies, strict=True):
        packed = digits_of(layout.pack(WordVector.from_integers(words, layout.word_bits, signed=False), tag))
        sums = [total + repeat * digit for total, digit in zip(sums, packed, strict=True)]
        expected = [total + repeat * word for total, word in zip(expected, words, strict=True)]
        expected_tag += repeat * tag
    unpacked, tag = layout.unpack(with_digits(layout, sums))
    assert unpacked.to_integers(signed=False) == [total % (1 << layout.word_bits) for total in expected]
    assert tag == expected_tag % (1 << layout.tag_bits)


@settings(max_examples=100, deadline=None)
@given(layouts())
def test_a_layout_uses_as_few_digits_as_its_rule_allows(layout: SlotLayout) -> None:
    per_digit = (layout.key_bits - 2) // layout.slot_bits
    full, rest = divmod(layout.words, per_digit)
    last = rest or per_digit
    fits = last * layout.slot_bits + layout.tag_slot_bits <= layout.key_bits - 2
    assert layout.digits == full + (rest > 0) + (not fits)
    assert layout.plaintexts == -(-layout.digits // layout.degree)
    assert layout.tag_has_own_digit is not fits
