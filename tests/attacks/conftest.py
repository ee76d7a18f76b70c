"""Hospitals for attacks on whole nodes, and a town of them with a dishonest broker: see `tests/support`."""

from support.dishonest_town import opened_town, town  # noqa: F401 - fixtures
from support.hospitals import (  # noqa: F401 - fixtures
    dataset,
    dataset_hash,
    empty_world,
    make_job,
    make_realm,
    make_rule,
    make_world,
    realm,
    world,
)
