"""The broker: brings analysts and nodes together, blind to what passes through it.

It holds signed statements, states of jobs and ciphertexts in flight. It can stop or delay work; it cannot
read a contribution or a result, and no node asks it whether something is allowed. The import contract of
this room keeps it so: no result key, no mask key, no holder's or analyst's role of the protocol can be
reached from here.

    computation   the logic of jobs and attempts: synchronous, driven by an injected clock, no sockets
    store         what is durable: tables, migrations and the queries over them
    handlers      what stands behind the wire's services: asynchronous faces of the logic
    worker        the one thread in which the logic runs
    wakeups, presence    who is woken to look again; who is connected
    receiving     what comes in chunks: all of it counts, or nothing
    catalogue, inquiries, reopenings, revoking    what is no job: datasets, opinions, cohorts, lists
    greeter       proves which broker answers
    metrics       what is counted
    backup        copies of a SQLite store, and one put back
    settings, app ``broker.toml``; the one place that wires all of it together
"""
