"""A sealed vector as bytes: how masked words and the tag word are laid out, cut into chunks, and read again.

    pad         word 0 ‖ word 1 ‖ …   in chunks of whole words     ‖ tag word, a chunk of its own, the last
    paillier    ciphertext 0 ‖ …      in chunks of whole ciphertexts; the tag lies in the last of them

The degree of the ciphertexts follows from the terms alone, so that everybody knows it before there is a
roster. `chunk_lengths` is the one rule of cutting that holders, broker and analyst share. Chunks of the
same index fold element by element, so no element is ever cut. Under ``pad`` the tag word is wider than a
data word: no data chunk has the tag's length, so that a chunk's length tells what is in it.
"""

from __future__ import annotations

from collections.abc import Iterator

from kapok.errors import InvalidInput
from kapok.protocols.paillier.digits import check_key
from kapok.protocols.paillier.packing import SlotLayout
from kapok.protocols.paillier.public import PublicKey
from kapok.protocols.secure_sum.params import SumTerms
from kapok.protocols.sizes import MOST_CHUNK_BYTES

__all__ = [
    "check_result_key",
    "chunk_bytes",
    "chunk_lengths",
    "degree",
    "layout",
    "result_key",
    "vector_bytes",
]


def result_key(terms: SumTerms) -> PublicKey:
    """The Paillier key of the terms.

    Raises:
        InvalidInput: ``bad_result_key`` when it cannot be used, or the terms have none.
    """
    if terms.result_key is None:
        raise InvalidInput("these terms have no result key", code="bad_result_key")
    return PublicKey.decode(*terms.result_key)


def degree(terms: SumTerms) -> int:
    """The degree of all ciphertexts of a job: the best one for a roster of all whom the terms name.

    Raises:
        InvalidInput: ``bad_result_key``.
    """
    return _layout(terms, len(terms.members), 1).best_degree


def check_result_key(terms: SumTerms) -> None:
    """Refuse terms whose result key cannot be used; those of another seal have none.

    Raises:
        InvalidInput: ``bad_result_key``.
    """
    if terms.result_key is not None:
        check_key(result_key(terms), degree(terms))


def layout(terms: SumTerms, members: int) -> SlotLayout:
    """Where words and tag lie in plaintexts, for a roster of so many members.

    Raises:
        InvalidInput: ``bad_result_key``.
    """
    return _layout(terms, members, degree(terms))


def vector_bytes(terms: SumTerms, members: int) -> int:
    """Length of a sealed vector, all chunks together, for a roster of so many members."""
    return sum(chunk_lengths(terms, members))


def chunk_bytes(terms: SumTerms) -> int:
    """Length of a full chunk: whole elements, at most 256 KiB."""
    element = _element_bytes(terms)
    return MOST_CHUNK_BYTES // element * element


def chunk_lengths(terms: SumTerms, members: int) -> tuple[int, ...]:
    """The length of every chunk of a sealed vector, in order."""
    full = chunk_bytes(terms)
    if terms.result_key is not None:
        return tuple(_cut(layout(terms, members).plaintexts * _element_bytes(terms), full))
    tag = terms.tag_bits // 8
    lengths = list(_cut(terms.words * _element_bytes(terms), full))
    if lengths[-1] == tag:
        lengths[-1:] = [tag - _element_bytes(terms), _element_bytes(terms)]
    return (*lengths, tag)


def _layout(terms: SumTerms, members: int, degree: int) -> SlotLayout:
    bits = result_key(terms).bits
    return SlotLayout(bits, terms.words, terms.word_bits, terms.tag_bits, members, degree)


def _element_bytes(terms: SumTerms) -> int:
    if terms.result_key is None:
        return terms.word_bits // 8
    return result_key(terms).ciphertext_bytes(degree(terms))


def _cut(total: int, full: int) -> Iterator[int]:
    for start in range(0, total, full):
        yield min(full, total - start)
