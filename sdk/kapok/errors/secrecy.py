"""What holds a secret stays in its process.

Stands with the errors because every room may import them, and they import nothing.
"""

from __future__ import annotations

from typing import NoReturn

__all__ = ["NeverPickled"]


class NeverPickled:
    """A base that refuses pickling, and with it `copy` and the way to another process, by ``TypeError``.

    It has no fields and no ``__dict__``, so that slotted classes, slotted dataclasses and msgspec structs can
    name it, first among their bases. A struct can still be copied within its process, by msgspec itself.
    """

    __slots__ = ()

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} is never pickled or copied: it can hold a secret")
