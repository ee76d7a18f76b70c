"""What runs beside a clinic's rows."""

import time

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr_datasets import FederatedDataset

from clinic.task import fit, loss

app = ClientApp()


def rows():
    """The clinic's own."""
    table = FederatedDataset(dataset="clinics", partitioners={"train": 1}).load_partition(0)
    found = table.with_format("numpy")
    return np.asarray(found["x"], dtype=float), np.asarray(found["y"], dtype=float)


@app.train()
def train(message: Message, context: Context) -> Message:
    """Fit, after a pause that stands for the work of a larger model."""
    x, y = rows()
    time.sleep(context.run_config["pause"])
    w, b = fit(x, y, *message.content["arrays"]["model"].numpy())
    content = {
        "arrays": ArrayRecord({"model": Array(np.array([w, b]))}),
        "metrics": MetricRecord({"num-examples": len(x)}),
    }
    return Message(RecordDict(content), reply_to=message)


@app.evaluate()
def evaluate(message: Message, _context: Context) -> Message:
    """The loss over the clinic's rows."""
    x, y = rows()
    metrics = {"num-examples": len(x), "loss": loss(x, y, *message.content["arrays"]["model"].numpy())}
    return Message(RecordDict({"metrics": MetricRecord(metrics)}), reply_to=message)
