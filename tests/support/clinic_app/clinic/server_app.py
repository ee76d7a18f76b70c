"""What runs at the analyst."""

import numpy as np
from flwr.app import Array, ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp, strategy

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """From zero, under the strategy that the configuration names."""
    kind = getattr(strategy, context.run_config["strategy"])
    least = context.run_config["min-nodes"]
    given = {"min_train_nodes": least, "min_evaluate_nodes": least, "min_available_nodes": least}
    own = {"FedProx": {"proximal_mu": 0.5}, "FedAvgM": {"server_momentum": 0.5}}
    chosen = kind(**given, **own.get(kind.__name__, {}))
    arrays = ArrayRecord({"model": Array(np.zeros(2))})
    result = chosen.start(grid, arrays, num_rounds=context.run_config["num-server-rounds"])
    print("model", *map(repr, map(float, result.arrays["model"].numpy())))
