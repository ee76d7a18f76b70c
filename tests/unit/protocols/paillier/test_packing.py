"""Slots: layout, edges, refusals, and sums of packed vectors under encryption."""

from __future__ import annotations

import secrets

import pytest

from kapok.errors import InvalidInput, SealBroken
from kapok.protocols.paillier import plain
from kapok.protocols.paillier.packing import SlotLayout
from kapok.protocols.paillier.private import PrivateKey
from kapok.protocols.words import WordVector


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
    assert layouts[1].slots_per_plaintext == 42
    assert {words: layout.plaintexts for words, layout in layouts.items()} == plaintexts
    apart = [words for words, layout in layouts.items() if layout.tag_has_own_plaintext]
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
    assert layout.tag_has_own_plaintext is apart
    top = WordVector.from_integers([-1] * words, word_bits)
    total = [parties * plaintext for plaintext in layout.pack(top, 2**tag_bits - 1)]
    assert all(plaintext < 2**3070 for plaintext in total)
    assert layout.unpack(total)[1] == -parties % 2**tag_bits


def test_words_and_tag_lie_where_the_layout_says() -> None:
    layout = SlotLayout(2048, 3, 16, 80, 3)
    words = WordVector.from_integers([1, -1, 5], 16)
    assert layout.pack(words, 9) == [1 + (0xFFFF << 18) + (5 << 36) + (9 << 54)]
    own = SlotLayout(2048, 113, 16, 80, 3)
    packed = own.pack(WordVector.from_integers(range(113), 16), 7)
    assert packed == [sum(word << (18 * word) for word in range(113)), 7]


@pytest.mark.parametrize("parties", [1, 2, 3, 200, 256])
@pytest.mark.parametrize("words", [1, 20, 21, 22, 23, 24, 25, 26, 27, 60])
def test_extreme_sums_come_back_reduced(parties: int, words: int) -> None:
    """The largest words of all parties add up inside their slots, whatever lies beside them."""
    layout = SlotLayout(2048, words, 72, 136, parties)
    top = WordVector.from_integers([2**72 - 1] * words, 72, signed=False)
    total = [parties * plaintext for plaintext in layout.pack(top, 2**136 - 1)]
    assert all(plaintext < 2**2046 for plaintext in total)
    unpacked, tag = layout.unpack(total)
    assert unpacked.to_integers() == [-parties] * words
    assert tag == -parties % 2**136


def test_long_vectors_cross_blocks() -> None:
    layout = SlotLayout(2048, 100_003, 24, 88, 4)
    values = [(7919 * index) % 2**24 for index in range(100_003)]
    words = WordVector.from_integers(values, 24, signed=False)
    packed = layout.pack(words, 5)
    assert len(packed) == layout.plaintexts > 512
    unpacked, tag = layout.unpack([3 * plaintext for plaintext in packed])
    assert unpacked.to_integers(signed=False) == [3 * value % 2**24 for value in values]
    assert tag == 15


@pytest.mark.parametrize("words", [22, 25])
def test_encrypted_sums_of_packed_vectors_are_modular_sums(private_key: PrivateKey, words: int) -> None:
    layout = SlotLayout(private_key.public.bits, words, 80, 144, 3)
    contributions = [
        WordVector.from_bytes(secrets.token_bytes(10 * words - 10) + b"\xff" * 10, 80) for _ in range(3)
    ]
    tags = [secrets.randbits(144) | 1 << 143 for _ in contributions]
    vectors = [
        plain.encrypt(private_key.public, layout.pack(contribution, tag))
        for contribution, tag in zip(contributions, tags, strict=True)
    ]
    assert {vector.count for vector in vectors} == {layout.plaintexts}
    unpacked, tag = layout.unpack(private_key.decrypt(plain.add(private_key.public, vectors)))
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


@pytest.mark.parametrize("words", [4, 31, 40])
def test_bits_outside_the_slots_break_the_seal(words: int) -> None:
    layout = SlotLayout(2048, words, 64, 128, 4)
    good = layout.pack(WordVector.zeros(words, 64), 0)
    layout.unpack(good)
    for index in range(len(good)):
        for plaintext in (2**2047, 2**2046, -1):
            with pytest.raises(SealBroken):
                layout.unpack([*good[:index], plaintext, *good[index + 1 :]])
    for wrong in ([], good[1:], [*good, 0]):
        with pytest.raises(SealBroken):
            layout.unpack(wrong)
