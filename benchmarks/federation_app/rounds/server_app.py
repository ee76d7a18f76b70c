"""What runs at the analyst: federated averaging of a model of the size that is asked for."""

import numpy as np
from flwr.app import Array, ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Begin with zeros, and average."""
    values, rounds = context.run_config["values"], context.run_config["num-server-rounds"]
    arrays = ArrayRecord({"model": Array(np.zeros(values, dtype=np.float32))})
    FedAvg(fraction_evaluate=0.0).start(grid, arrays, num_rounds=rounds)
