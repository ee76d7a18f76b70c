"""The wire: gRPC between parties, seen by the rest of Kapok as plain types, desks and connections.

    client side                     broker side
    `channel.connect` ──mutual TLS──▶ `server.serve` ──▶ desks (`kapok.wire.desks`)
    `channel.enrol_call` ───TLS─────▶ `server.serve_enrolment` ──▶ EnrolmentDesk

Generated messages (`kapok.wire.v1`) are imported here alone; `codec` turns them into `messages` and back.
Whoever calls gets the class of `kapok.errors` that the other side raised.
"""

import os

# gRPC's core writes its own lines to stderr; whatever a person must know is raised in plain words instead.
# It reads this once, when it is imported; whoever debugs the transport sets it before starting.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
