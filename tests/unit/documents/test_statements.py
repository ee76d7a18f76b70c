import pytest

from kapok.documents.statements import Membership, RefusalStatement
from kapok.errors import ConsentWithheld, InternalError, InvalidInput

REFUSAL = {
    "job": "00" * 32,
    "kind": "ConsentWithheld",
    "code": "no",
    "message": "no",
    "clause": "",
    "remedy": "",
}


@pytest.mark.parametrize("length", [0, 1215, 1217])
def test_a_tag_key_has_its_length(length):
    assert Membership("00" * 32, bytes(1216)).tag_key == bytes(1216)
    with pytest.raises(InvalidInput) as caught:
        Membership("00" * 32, bytes(length))
    assert caught.value.code == "bad_tag_key"


@pytest.mark.parametrize("code", ["", "Not Snake", "no_", "no\n", "n" * 9 + " "])
def test_a_refusal_has_a_code(code):
    with pytest.raises(InvalidInput) as caught:
        RefusalStatement(**REFUSAL | {"code": code})
    assert caught.value.code == "bad_refusal"


def test_a_refusal_is_the_error_that_the_node_raised():
    error = RefusalStatement(**REFUSAL | {"clause": "policy.columns"}).error("va")
    assert type(error) is ConsentWithheld
    assert (error.code, error.party, error.clause, error.remedy) == ("no", "va", "policy.columns", None)
    assert type(RefusalStatement(**REFUSAL | {"kind": "KapokError"}).error("va")) is InternalError
