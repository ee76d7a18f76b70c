"""Terms that do not hold together cannot be made."""

from dataclasses import replace

import pytest
from support.parties import exchange

from kapok.errors import InvalidInput
from kapok.protocols.secure_sum.params import Party, Seal, Signed


@pytest.mark.parametrize(
    "changes",
    [
        {"job_id": bytes(31)},
        {"members": frozenset()},
        {"members": frozenset(Party(f"n{number}", "o") for number in range(257)), "at_least": 1},
        {"members": frozenset({Party("n", "o"), Party("n", "p")}), "at_least": 1},
        {"at_least": 0},
        {"at_least": 5},
        {"words": 0},
        {"words": 2**28 + 1},
        {"word_bits": 12},
        {"word_bits": 0},
        {"word_bits": 200},
        {"seal": Seal.PAILLIER},
        {"result_key": (b"n", b"h")},
        {"receiver_key": bytes(1215)},
        {"rounds": 0},
        {"rounds": 1_000_001},
    ],
)
def test_terms_that_do_not_hold_together(changes):
    terms = exchange().terms
    with pytest.raises(InvalidInput) as error:
        replace(terms, **changes)
    assert error.value.code == "bad_terms"


def test_fingerprints_have_their_length():
    for fingerprints in ((bytes(32), b""), (b"", bytes(32))):
        with pytest.raises(InvalidInput) as error:
            Signed(b"", Party("n", "o"), *fingerprints)
        assert error.value.code == "bad_fingerprint"


def test_tag_is_64_bits_wider():
    assert exchange(word_bits=104).terms.tag_bits == 168
