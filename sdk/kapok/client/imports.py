"""Slow imports, when they are first needed, on the thread of the event loop alone.

Where two threads import at the same time, Python gives one of them a module that is not yet whole rather than
let them wait for each other for ever; what is then missing in it raises ImportError.
"""

from __future__ import annotations

from kapok.computations.registry import computation

__all__ = ["import_for_asking", "import_for_opening"]


def import_for_asking(kind: str) -> None:
    """Import what it takes to write a question's specification.

    Raises:
        InvalidInput: ``unknown_computation``.
    """
    import kapok.identity.expiry
    import kapok.protocols.paillier.keygen
    import kapok.protocols.paillier.opening
    import kapok.protocols.secure_sum.analyst  # noqa: F401

    computation(kind)


def import_for_opening(kind: str) -> None:
    """Import what it takes to open a sum and answer: best while the nodes work.

    Raises:
        InvalidInput: ``unknown_computation``.
    """
    import pyarrow  # noqa: F401

    import kapok.computations.query.arrow
    import kapok.protocols.secure_sum.analyst
    import kapok.protocols.secure_sum.round_parameters
    import kapok.protocols.secure_sum.vector  # noqa: F401

    computation(kind)
