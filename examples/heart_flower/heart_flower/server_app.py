"""What runs at the analyst: federated averaging, to the last round."""

from flwr.app import Array, ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from heart_flower.task import initial

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Begin with random weights, and average."""
    weights, bias = initial(context.run_config["seed"])
    arrays = ArrayRecord({"weights": Array(weights), "bias": Array(bias)})
    FedAvg().start(grid, arrays, num_rounds=context.run_config["num-server-rounds"])
