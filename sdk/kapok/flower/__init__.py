"""Flower (flwr 1.41), and the only room that imports it: its messages, its server apps, its strategies.

    ServerApp, strategy     unchanged, in the analyst's process
       │ grid.send_and_receive(one and the same message for every node)
       ▼
    BrokerGrid              refuses what wants single replies; hands the one instruction on
       │ bytes of an instruction           ▲ bytes of one reply: the weighted mean of all
       ▼                                   │
    a round of Kapok: `kapok.computations.federated`

    running, grid           the server app in a thread; what it is given for Flower's grid
    strategies              which run where only the mean is known
    messages, configuration Flower's messages as bytes and arrays; overrides of a run's configuration
    building                a folder → its bundle
    absent                  stand-ins for what is not installed at the analyst's

Flower's own transport is not used: it would show a server every single update. Its telemetry is off before
anything of it is imported. Without the extra, `kapok fl` says what to install, and all else works.
"""

from __future__ import annotations

import os

__all__: list[str] = []

os.environ["FLWR_TELEMETRY_ENABLED"] = "0"
