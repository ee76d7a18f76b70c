"""What runs at a node: it adds its own number to each value."""

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:
    """The model that came, one more at the first node, two at the second, and so on, in thousandths."""
    model = message.content["arrays"]["model"].numpy()
    model = model + np.float32(0.001 * (1 + context.node_config["partition-id"]))
    content = {
        "arrays": ArrayRecord({"model": Array(model)}),
        "metrics": MetricRecord({"num-examples": 100}),
    }
    return Message(RecordDict(content), reply_to=message)
