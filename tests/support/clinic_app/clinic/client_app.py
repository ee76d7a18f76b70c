"""What runs beside a clinic's rows."""

import time

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr_datasets import FederatedDataset

from clinic.task import fit, generator_of, loss

app = ClientApp()


def rows(context):
    """The clinic's own."""
    table = FederatedDataset(dataset="clinics", partitioners={"train": context.node_config["num-partitions"]})
    found = table.load_partition(context.node_config["partition-id"]).with_format("numpy")
    return np.asarray(found["x"], dtype=float), np.asarray(found["y"], dtype=float)


def exchanges(context):
    """How many exchanges this clinic has taken part in, this one too; kept from one to the next."""
    kept = context.state.config_records.get("kept") or ConfigRecord({"exchanges": 0})
    context.state["kept"] = ConfigRecord({"exchanges": kept["exchanges"] + 1})
    return kept["exchanges"] + 1


@app.train()
def train(message: Message, context: Context) -> Message:
    """Fit, after a pause that stands for the work of a larger model."""
    (x, y), config, number = rows(context), message.content["config"], exchanges(context)
    time.sleep(context.run_config["pause"])
    generator = generator_of(context.run_config["seed"], number, context.node_config["partition-id"])
    model = message.content["arrays"]["model"].numpy()
    fitted = fit(x, y, model, generator, config.get("proximal-mu", 0.0))
    content = {
        "arrays": ArrayRecord({"model": Array(fitted)}),
        "metrics": MetricRecord({"num-examples": len(x)}),
    }
    return Message(RecordDict(content), reply_to=message)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """The loss over the clinic's rows."""
    (x, y), _ = rows(context), exchanges(context)
    metrics = {"num-examples": len(x), "loss": loss(x, y, message.content["arrays"]["model"].numpy())}
    return Message(RecordDict({"metrics": MetricRecord(metrics)}), reply_to=message)
