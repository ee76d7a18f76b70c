"""What the logic keeps of what it has read, and who forgets it."""

from types import SimpleNamespace

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


def test_specifications_of_jobs_that_are_over_are_soon_let_go(world):
    """Each is of use while its job runs: four thousand short ones were kept, and filled it over hours."""

    class Jobs:
        def specification(self, job_id):
            return f"the signed words of {job_id}"

    tx = SimpleNamespace(jobs=Jobs())
    for number in range(2000):
        assert str(number) in world.context.specification(tx, str(number))
    assert len(world.context._tokens._kept) <= 410
