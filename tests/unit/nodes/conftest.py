"""Hospitals for the tests of a node's parts: see `support.hospitals`; and daemons: `support.daemons`."""

from support.daemons import logging_restored, network  # noqa: F401 - fixtures
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
