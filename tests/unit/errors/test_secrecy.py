"""The one refusal to be pickled, for every kind of class that holds secrets."""

import copy
import pickle
import re
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from kapok.errors.secrecy import NeverPickled

ROOTS = [Path(__file__).parents[3] / root for root in ("sdk", "protocols", "broker", "nodes")]


class Slotted(NeverPickled):
    __slots__ = ("secret",)

    def __init__(self, secret: int) -> None:
        self.secret = secret


@dataclass(frozen=True, slots=True)
class Record(NeverPickled):
    secret: int


class Struct(NeverPickled, msgspec.Struct, frozen=True):
    secret: int


@pytest.mark.parametrize("kind", [Slotted, Record, Struct])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_no_protocol_of_pickle_takes_it(kind, protocol):
    with pytest.raises(TypeError, match=f"a {kind.__name__} is never pickled") as caught:
        pickle.dumps(kind(7919), protocol)
    assert "7919" not in str(caught.value)


@pytest.mark.parametrize("kind", [Slotted, Record])
@pytest.mark.parametrize("take", [copy.copy, copy.deepcopy])
def test_it_is_not_copied(kind, take):
    with pytest.raises(TypeError, match="or copied"):
        take(kind(1))


@pytest.mark.parametrize("kind", [Slotted, Record, Struct])
def test_the_base_costs_no_dict_and_hides_no_field(kind):
    assert kind(7).secret == 7
    assert not hasattr(kind(7), "__dict__")


def test_it_is_the_one_way_to_refuse():
    """A class that hides itself in what it prints refuses pickling, by this base alone."""
    by_hand, unguarded = [], []
    for path in (path for root in ROOTS for path in root.rglob("*.py")):
        text = path.read_text()
        by_hand += [path.name] * (path.name != "secrecy.py" and "def __reduce__" in text)
        for body in re.split(r"^(?=class )", text, flags=re.MULTILINE)[1:]:
            unguarded += [body.split("\n")[0]] * ("<hidden>" in body and "(NeverPickled" not in body)
    assert (by_hand, unguarded) == ([], [])
