"""What the logic keeps of what it has read, and who forgets it."""

from kapok.broker.computation.context import _Cache


def test_what_is_read_while_all_is_forgotten_is_not_kept():
    """As by the thread that says that the broker lives, whose transaction is lost just then."""
    cache = _Cache()

    def made_meanwhile():
        cache.clear()
        return "of an attempt that is lost"

    assert cache.get(1, made_meanwhile, len) == "of an attempt that is lost"
    assert cache.get(1, lambda: "of the next", len) == "of the next"
    assert cache._weight == len("of the next")
