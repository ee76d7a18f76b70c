"""What runs at the analyst."""

import numpy as np
from flwr.app import Array, ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Federated averaging from zero."""
    arrays = ArrayRecord({"model": Array(np.zeros(2))})
    FedAvg().start(grid, arrays, num_rounds=context.run_config["num-server-rounds"])
