"""Known answers from an implementation that shares no line with this one: roster hash, keys, masks, tags."""

import json
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from support.parties import exchange

from kapok.protocols.masking.pairwise import MaskKey
from kapok.protocols.secure_sum import sealing, tag
from kapok.protocols.secure_sum.cohort import CohortStatement
from kapok.protocols.secure_sum.context import Context
from kapok.protocols.secure_sum.roster import Member, Roster
from kapok.protocols.words import WordVector

VECTORS = Path(__file__).parents[3] / "vectors"
CASES = json.loads((VECTORS / "secure_sum.json").read_text(encoding="utf-8"))["cases"]


def roster_of(case):
    members = tuple(
        Member(
            name=member["name"],
            organisation="o",
            mask_key=bytes.fromhex(member["mask_key"]),
            wrap_key=bytes.fromhex(member["wrap_key"]),
            fingerprint=bytes.fromhex(member["fingerprint"]),
            key_fingerprint=bytes(32),
            cohort=CohortStatement("fixed"),
            consent=b"",
        )
        for member in case["members"]
    )
    return Roster(bytes.fromhex(case["job"]), members)


def context_of(case):
    return Context(
        job_id=bytes.fromhex(case["job"]),
        round=case["round"],
        attempt=case["attempt"],
        roster_hash=roster_of(case).hash,
        params_hash=bytes.fromhex(case["params"]),
    )


def mask_key(private):
    key = MaskKey()
    key._private = X25519PrivateKey.from_private_bytes(bytes.fromhex(private))
    return key


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['word_bits']} bits")
class TestKnownAnswers:
    def test_roster_hash_and_context(self, case):
        assert roster_of(case).hash.hex() == case["roster_hash"]
        assert context_of(case).encode().hex() == case["context"]

    def test_seed_commitment_and_tags(self, case):
        seed, context = bytes.fromhex(case["seed"]), context_of(case)
        assert tag.commitment(seed, context).hex() == case["seed_commitment"]
        for values, expected in zip(case["contributions"], case["tags"], strict=True):
            words = WordVector.from_integers(values, case["word_bits"])
            assert tag.tag_of(words, seed, context) == int(expected)

    def test_masked_vectors(self, case):
        terms = exchange([[0] * 5] * 3, word_bits=case["word_bits"]).terms
        for member, values, expected in zip(
            case["members"], case["contributions"], case["masked"], strict=True
        ):
            words, tag_word = sealing.mask(
                terms,
                roster_of(case),
                context_of(case),
                mask_key(member["mask_private"]),
                name=member["name"],
                b=bytes.fromhex(member["b"]),
                contribution=WordVector.from_integers(values, case["word_bits"]),
                tag_seed=bytes.fromhex(case["seed"]),
            )
            assert [*words.to_integers(signed=False), tag_word] == [int(word) for word in expected]

    def test_unmasked_sum(self, case):
        bits = case["word_bits"]
        terms = exchange([[0] * 5] * 3, word_bits=bits).terms
        columns = [[int(word) for word in y] for y in case["masked"]]
        words = [sum(column) % 2**bits for column in zip(*(y[:-1] for y in columns), strict=True)]
        own = [
            sealing.own_key(bytes.fromhex(member["b"]), context_of(case), member["name"])
            for member in case["members"]
        ]
        bare, tag_word = sealing.unmask(
            terms,
            WordVector.from_integers(words, bits, signed=False),
            sum(y[-1] for y in columns) % 2 ** (bits + 64),
            own,
        )
        assert bare.to_integers() == case["sum"]
        assert tag_word == sum(int(one) for one in case["tags"]) % 2 ** (bits + 64)


def test_the_file_is_what_its_generator_writes(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(VECTORS), *sys.path])
    import generate_secure_sum

    assert generate_secure_sum.document() == generate_secure_sum.FILE.read_text(encoding="utf-8")


def test_the_oracle_knows_the_published_answers(monkeypatch):
    """RFC 7748, section 5.2, and FIPS 197, appendix C.3."""
    monkeypatch.setattr(sys, "path", [str(VECTORS), *sys.path])
    import secure_sum_oracle as oracle

    scalar = bytes.fromhex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4")
    point = bytes.fromhex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c")
    expected = "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"
    assert oracle.x25519(scalar, point).hex() == expected
    block = oracle.aes256(bytes(range(32)), bytes.fromhex("00112233445566778899aabbccddeeff"))
    assert block.hex() == "8ea2b7ca516745bfeafc49904b496089"
