"""The history of a training: each exchange's metrics, as a table and as a plot."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kapok.client.exchanges import Exchange
from kapok.computations.reports import new_axes

if TYPE_CHECKING:
    import pyarrow as pa
    from matplotlib.axes import Axes

__all__ = ["History"]


@dataclass(frozen=True, slots=True)
class History:
    """What a job of federated learning answers: a row for each exchange, a column for each metric.

    Attributes:
        exchanges: In their order.
        suppressed: None: an exchange has all of its metrics, or its job has failed.
    """

    exchanges: tuple[Exchange, ...]
    suppressed: tuple[tuple[int, str], ...] = ()

    @property
    def metrics(self) -> dict[str, tuple[float | None, ...]]:
        """Each metric's values, None for exchanges that do not have it; a list is as many metrics."""
        found = [dict(_numbers(one)) for one in self.exchanges]
        names = dict.fromkeys(name for values in found for name in values)
        return {name: tuple(values.get(name) for values in found) for name in names}

    def to_arrow(self) -> pa.Table:
        """As an Arrow table: exchange, kind, nodes that contributed, examples, then the metrics, float64."""
        import pyarrow as pa

        columns = {
            "exchange": pa.array([one.number for one in self.exchanges], type=pa.int64()),
            "kind": pa.array([one.kind for one in self.exchanges], type=pa.string()),
            "nodes": pa.array([one.holders for one in self.exchanges], type=pa.int64()),
            "examples": pa.array([one.weight for one in self.exchanges], type=pa.float64()),
        }
        for name, values in self.metrics.items():
            own = name if name not in columns else f"{name}_"
            columns[own] = pa.array(list(values), type=pa.float64())
        table = pa.table(columns)
        return table.replace_schema_metadata({"kapok.suppressed": json.dumps(self.suppressed)})

    def plot(self) -> Axes:
        """A line for each metric over the exchanges, one for each kind of them where several tell it.

        Raises:
            InvalidInput: ``no_matplotlib``: it is not installed.
        """
        axes = new_axes()
        for name, values in self.metrics.items():
            lines: dict[str, list[tuple[int, float]]] = {}
            for one, value in zip(self.exchanges, values, strict=True):
                if value is not None:
                    lines.setdefault(one.kind, []).append((one.number, value))
            for kind, points in lines.items():
                label = name if len(lines) == 1 else f"{name}, {kind}"
                axes.plot(*zip(*points, strict=True), marker="o", label=label)
        axes.set_xlabel("exchange")
        if self.metrics:
            axes.legend()
        return axes

    def draw(self, path: Path) -> None:
        """Write the plot into a file, in the format that its name ends with. Raises what `plot` does."""
        axes = self.plot()
        from matplotlib.figure import Figure

        if isinstance(axes.figure, Figure):
            axes.figure.savefig(path)


def _numbers(one: Exchange) -> Iterable[tuple[str, float]]:
    for name, value in sorted(one.metrics.items()):
        if isinstance(value, tuple):
            yield from ((f"{name}[{place}]", number) for place, number in enumerate(value))
        else:
            yield name, value
