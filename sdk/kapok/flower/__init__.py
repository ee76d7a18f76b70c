"""Flower (flwr 1.41), and the only room that imports it.

Its telemetry is off before anything of it is imported. Without the extra, `kapok fl` says what to install,
and all else works.
"""

from __future__ import annotations

import os

__all__: list[str] = []

os.environ["FLWR_TELEMETRY_ENABLED"] = "0"
