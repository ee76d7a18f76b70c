"""The wire: gRPC between parties, seen by the rest of Kapok as plain types, handlers and connections.

    client side                     broker side
    `channel.connect` ──mutual TLS──▶ `server.serve` ──▶ handlers (`kapok.wire.handlers`)
    `channel.enrol_call` ───TLS─────▶ `server.serve_enrolment` ──▶ EnrolmentHandler

Generated messages (`kapok.wire.v1`) are imported here alone; `codec` turns them into `messages` and back.
Whoever calls gets the class of `kapok.errors` that the other side raised.

    messages, handlers     what crosses, and what stands behind the services: types of Kapok's own
    channel, transport  a connection; the three ways to use it
    clients, services   the handlers as callers see them; as gRPC calls them
    server, gate        the listening side; what every call passes before a service sees it
    codec, failures     messages and errors, there and back
    peers, greeting     who calls, by the certificate; which broker answers
    version, limits, shares    which release speaks; how large a message may be; how much is one party's
    dialler, backoff, diagnosis, proxy    when to dial again, why nobody answers, and by which way
    address, health, reflection, traffic    names of places; what probes and tools ask; what is counted
"""

import os

# gRPC's core writes its own lines to stderr; whatever a person must know is raised in plain words instead.
# It reads this once, when it is imported; whoever debugs the transport sets it before starting.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
