"""Slots: layout, edges, refusals, and sums of packed vectors under encryption."""

from __future__ import annotations

import secrets

import pytest
from support.digits import digits_of, with_digits

from kapok.errors import InvalidInput, SealBroken
from kapok.protocols.paillier import scheme
from kapok.protocols.paillier.packing import SlotLayout
from kapok.protocols.paillier.plaintexts import PlaintextVector
from kapok.protocols.paillier.private import PrivateKey
from kapok.protocols.words import WordVector


def _times(layout: SlotLayout, factor: int, plaintexts: PlaintextVector) -> PlaintextVector:
    digits = [factor * digit for digit in digits_of(plaintexts)]
    assert all(digit < 2**layout.digit_bits for digit in digits)
    return with_digits(layout, digits)


@pytest.mark.parametrize(
    ("parties", "carry_bits"),
    [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (8, 3), (9, 4), (128, 7), (129, 8), (255, 8), (256, 8)],
)
def test_carry_bits_are_the_logarithm_rounded_up(parties: int, carry_bits: int) -> None:
    layout = SlotLayout(3072, 10, 64, 128, parties)
    assert layout.carry_bits == carry_bits
    assert (layout.slot_bits, layout.tag_slot_bits) == (64 + carry_bits, 128 + carry_bits)
    # parties words that are all 2^b − 1 stay inside their slot.
    assert parties * (2**64 - 1) < 2**layout.slot_bits


def test_the_tag_follows_the_last_word_while_it_fits() -> None:
    # 3070 bits hold 42 slots of 72 bits; the tag's slot has 136 bits: it fits beside 40 words, not 41.
    plaintexts = {1: 1, 40: 1, 41: 2, 42: 2, 43: 2, 82: 2, 83: 3, 84: 3, 85: 3}
    layouts = {words: SlotLayout(3072, words, 64, 128, 256) for words in plaintexts}
    assert layouts[1].slots_per_digit == 42
    assert {words: layout.plaintexts for words, layout in layouts.items()} == plaintexts
    apart = [words for words, layout in layouts.items() if layout.tag_has_own_digit]
    assert apart == [41, 42, 83, 84]


@pytest.mark.parametrize(
    ("words", "word_bits", "tag_bits", "parties", "apart"),
    [
        (46, 56, 120, 256, True),  # 126 bits are left: enough for the tag, not for its sum of 128
        (48, 56, 88, 64, False),  # 94 bits are left, 94 are needed
        (48, 56, 96, 64, True),
    ],
)
def test_the_tag_needs_room_for_its_carries(
    words: int, word_bits: int, tag_bits: int, parties: int, apart: bool
) -> None:
    layout = SlotLayout(3072, words, word_bits, tag_bits, parties)
    assert layout.tag_has_own_digit is apart
    top = WordVector.from_integers([-1] * words, word_bits)
    total = _times(layout, parties, layout.pack(top, 2**tag_bits - 1))
    assert layout.unpack(total)[1] == -parties % 2**tag_bits


def test_words_and_tag_lie_where_the_layout_says() -> None:
    layout = SlotLayout(2048, 3, 16, 80, 3)
    words = WordVector.from_integers([1, -1, 5], 16)
    assert digits_of(layout.pack(words, 9)) == [1 + (0xFFFF << 18) + (5 << 36) + (9 << 54)]
    own = SlotLayout(2048, 113, 16, 80, 3)
    packed = own.pack(WordVector.from_integers(range(113), 16), 7)
    assert digits_of(packed) == [sum(word << (18 * word) for word in range(113)), 7]


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
def test_digits_are_those_of_degree_one_grouped(degree: int) -> None:
    """A larger degree puts the same digits into fewer plaintexts; what is left over is zero."""
    words = WordVector.from_bytes(secrets.token_bytes(2 * 1000), 16)
    single, grouped = (SlotLayout(2048, 1000, 16, 80, 3, size) for size in (1, degree))
    digits = digits_of(single.pack(words, 9))
    packed = grouped.pack(words, 9)
    assert len(digits) == single.digits == grouped.digits == 9
    assert packed.degree == degree
    assert len(packed) == grouped.plaintexts == -(-9 // degree)
    assert digits_of(packed) == digits + [0] * (-9 % degree)
    assert grouped.unpack(packed) == (words, 9)


@pytest.mark.parametrize("degree", [1, 3])
@pytest.mark.parametrize("words", [1000, 339, 340, 341, 1017])
def test_parts_are_packed_as_the_whole(degree: int, words: int) -> None:
    layout = SlotLayout(2048, words, 16, 80, 3, degree)
    vector = WordVector.from_bytes(secrets.token_bytes(2 * words), 16)
    step, whole = layout.words_per_plaintext, digits_of(layout.pack(vector, 11))
    parts: list[int] = []
    for first in range(-(-words // step)):
        part = vector.to_bytes()[2 * step * first : 2 * step * (first + 1)]
        parts += digits_of(layout.pack_part(WordVector.from_bytes(part, 16), 11, first=first))
    assert parts == whole


def test_parts_begin_and_end_with_plaintexts() -> None:
    layout = SlotLayout(2048, 1000, 16, 80, 3, 3)
    for first, count in ((0, 338), (0, 340), (1, 1000), (2, 322), (2, 323), (2, 0), (3, 0), (3, 1)):
        if first * 339 + count != 1000:
            with pytest.raises(InvalidInput) as refused:
                layout.pack_part(WordVector.zeros(count, 16), 0, first=first)
            assert refused.value.code == "bad_words"


@pytest.mark.parametrize("parties", [1, 2, 3, 200, 256])
@pytest.mark.parametrize("words", [1, 20, 21, 22, 23, 24, 25, 26, 27, 60])
@pytest.mark.parametrize("degree", [1, 2])
def test_extreme_sums_come_back_reduced(parties: int, words: int, degree: int) -> None:
    """The largest words of all parties add up inside their slots, whatever lies beside them."""
    layout = SlotLayout(2048, words, 72, 136, parties, degree)
    top = WordVector.from_integers([2**72 - 1] * words, 72, signed=False)
    unpacked, tag = layout.unpack(_times(layout, parties, layout.pack(top, 2**136 - 1)))
    assert unpacked.to_integers() == [-parties] * words
    assert tag == -parties % 2**136


@pytest.mark.parametrize("word_bits", [8, 24, 64, 128, 192, 256])
def test_every_width_is_laid_out_bit_by_bit(word_bits: int) -> None:
    layout = SlotLayout(3072, 1000, word_bits, word_bits, 7, 2)
    values = [secrets.randbits(word_bits) for _ in range(1000)]
    packed = layout.pack(WordVector.from_integers(values, word_bits, signed=False), 0)
    slots = [
        digit >> (slot * layout.slot_bits) & ((1 << layout.slot_bits) - 1)
        for digit in digits_of(packed)
        for slot in range(layout.slots_per_digit)
    ]
    assert slots[:1000] == values
    assert not any(slots[1000:])


def test_long_vectors_cross_blocks() -> None:
    layout = SlotLayout(2048, 400_003, 24, 88, 4)
    values = [(7919 * index) % 2**24 for index in range(400_003)]
    words = WordVector.from_integers(values, 24, signed=False)
    packed = layout.pack(words, 5)
    assert len(packed) == layout.plaintexts > 4096
    unpacked, tag = layout.unpack(_times(layout, 3, packed))
    assert unpacked.to_integers(signed=False) == [3 * value % 2**24 for value in values]
    assert tag == 15


@pytest.mark.parametrize(("words", "degree"), [(22, 1), (25, 1), (22, 2), (120, 3), (90, 4)])
def test_encrypted_sums_of_packed_vectors_are_modular_sums(
    private_key: PrivateKey, words: int, degree: int
) -> None:
    layout = SlotLayout(private_key.public.bits, words, 80, 144, 3, degree)
    contributions = [
        WordVector.from_bytes(secrets.token_bytes(10 * words - 10) + b"\xff" * 10, 80) for _ in range(3)
    ]
    tags = [secrets.randbits(144) | 1 << 143 for _ in contributions]
    vectors = [
        scheme.encrypt(private_key.public, layout.pack(contribution, tag))
        for contribution, tag in zip(contributions, tags, strict=True)
    ]
    assert {vector.count for vector in vectors} == {layout.plaintexts}
    unpacked, tag = layout.unpack(private_key.decrypt(scheme.add(private_key.public, vectors)))
    assert unpacked == contributions[0].add(*contributions[1:])
    assert tag == sum(tags) % 2**144


@pytest.mark.parametrize(
    "change",
    [
        {"key_bits": 2047},
        {"key_bits": 4097},
        {"words": 0},
        {"words": -1},
        {"word_bits": 0},
        {"word_bits": 12},
        {"word_bits": 264},
        {"tag_bits": 0},
        {"tag_bits": 100},
        {"tag_bits": 264},
        {"parties": 0},
        {"parties": 257},
        {"degree": 0},
        {"degree": 5},
    ],
)
def test_bad_layouts_are_refused(change: dict[str, int]) -> None:
    good = {"key_bits": 3072, "words": 10, "word_bits": 64, "tag_bits": 128, "parties": 4}
    SlotLayout(**good)
    with pytest.raises(InvalidInput) as refused:
        SlotLayout(**(good | change))
    assert refused.value.code == "bad_layout"


def test_what_does_not_fit_raises_at_the_packer() -> None:
    layout = SlotLayout(2048, 4, 64, 128, 4)
    for words in (WordVector.zeros(3, 64), WordVector.zeros(5, 64), WordVector.zeros(4, 72)):
        with pytest.raises(InvalidInput) as refused:
            layout.pack(words, 0)
        assert refused.value.code == "bad_words"
    for tag in (-1, 2**128):
        with pytest.raises(InvalidInput) as refused:
            layout.pack(WordVector.zeros(4, 64), tag)
        assert refused.value.code == "word_overflow"


@pytest.mark.parametrize("words", [4, 31, 40, 100])
@pytest.mark.parametrize("degree", [1, 3])
def test_bits_outside_the_slots_break_the_seal(words: int, degree: int) -> None:
    layout = SlotLayout(2048, words, 64, 128, 4, degree)
    good = digits_of(layout.pack(WordVector.zeros(words, 64), 0))
    layout.unpack(with_digits(layout, good))
    for index in range(len(good)):
        for digit in (2**2047, 2**2046):
            with pytest.raises(SealBroken):
                layout.unpack(with_digits(layout, [*good[:index], digit, *good[index + 1 :]]))


def test_full_digits_are_checked_up_to_their_last_slot() -> None:
    # 31 slots of 66 bits end at bit 2046, of 2048 in the digit's bytes.
    layout = SlotLayout(2048, 62, 64, 128, 4)
    good = digits_of(layout.pack(WordVector.zeros(62, 64), 0))
    layout.unpack(with_digits(layout, [2**2046 - 1, *good[1:]]))
    for digit in (2**2046, 2**2047):
        with pytest.raises(SealBroken):
            layout.unpack(with_digits(layout, [digit, *good[1:]]))


def test_left_over_digits_must_be_zero() -> None:
    layout = SlotLayout(2048, 40, 64, 128, 4, 3)
    good = digits_of(layout.pack(WordVector.zeros(40, 64), 0))
    assert (layout.digits, len(good)) == (2, 3)
    with pytest.raises(SealBroken):
        layout.unpack(with_digits(layout, [*good[:2], 1]))


def test_sums_of_another_shape_break_the_seal() -> None:
    layout = SlotLayout(2048, 100, 64, 128, 4, 3)
    good = layout.pack(WordVector.zeros(100, 64), 0)
    wider = SlotLayout(3072, 100, 64, 128, 4, 3).pack(WordVector.zeros(100, 64), 0)
    single = SlotLayout(2048, 100, 64, 128, 4).pack(WordVector.zeros(100, 64), 0)
    for wrong in (PlaintextVector(good.digits[1:]), single, wider):
        with pytest.raises(SealBroken) as caught:
            layout.unpack(wrong)
        assert caught.value.code == "seal_broken"


def test_plaintexts_are_checked_and_never_shown() -> None:
    digits = SlotLayout(2048, 4, 64, 128, 4).pack(WordVector.zeros(4, 64), 0).digits
    for wrong in (digits[0], digits.view("int8"), digits[:, :, ::2], digits.repeat(5, axis=1)):
        with pytest.raises(InvalidInput) as refused:
            PlaintextVector(wrong)
        assert refused.value.code == "bad_plaintexts"
    with pytest.raises(InvalidInput) as refused:
        PlaintextVector(digits[:0])
    assert refused.value.code == "no_plaintexts"
    assert repr(PlaintextVector(digits)) == "PlaintextVector()"


@pytest.mark.parametrize(("words", "degree"), [(1, 1), (50_000, 1), (57_286, 1), (57_287, 3), (1_000_000, 3)])
def test_long_vectors_have_the_larger_degree(words: int, degree: int) -> None:
    assert SlotLayout(2048, words, 32, 96, 10).best_degree == degree
