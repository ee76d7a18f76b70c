"""What published apps import at the analyst's, too, though only their client half uses it there.

    flwr_datasets  the node has a stand-in that serves its partition; here there is no data to serve

On the path of a running server app, behind everything that is installed.
"""

from __future__ import annotations

__all__: list[str] = []
