"""What runs beside each hospital's data."""

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr_datasets import FederatedDataset

from heart_flower.task import COLUMNS, loss, prepare, probability, train

app = ClientApp()


def load():
    """This hospital's rows: a node shows an app nothing else, whatever partition it asks for."""
    rows = FederatedDataset(dataset="heart", partitioners={"train": 1}).load_partition(0).with_format("numpy")
    return prepare({name: np.asarray(rows[name], dtype=float) for name in COLUMNS})


@app.train()
def fit(message: Message, context: Context) -> Message:
    """So many steps from the model that came."""
    config, (x, y) = context.run_config, load()[0]
    arrays = message.content["arrays"]
    weights, bias = train(
        x,
        y,
        arrays["weights"].numpy(),
        arrays["bias"].numpy(),
        rate=config["learning-rate"],
        steps=config["local-steps"],
        batch=config["batch-size"],
        seed=config["seed"],
        number=message.content["config"]["server-round"],
    )
    content = {
        "arrays": ArrayRecord({"weights": Array(weights), "bias": Array(bias)}),
        "metrics": MetricRecord({"num-examples": len(x), "train-loss": loss(x, y, weights, bias)}),
    }
    return Message(RecordDict(content), reply_to=message)


@app.evaluate()
def evaluate(message: Message, _context: Context) -> Message:
    """Loss and accuracy on the test rows; weighted by their number they are those of the pooled test."""
    _, (x, y) = load()
    arrays = message.content["arrays"]
    weights, bias = arrays["weights"].numpy(), arrays["bias"].numpy()
    metrics = {
        "num-examples": len(x),
        "test-loss": loss(x, y, weights, bias),
        "accuracy": float(((probability(x, weights, bias) > 0.5) == y).mean()),
    }
    return Message(RecordDict({"metrics": MetricRecord(metrics)}), reply_to=message)
