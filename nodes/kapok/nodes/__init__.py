"""The node: the daemon that stands beside a holder's data and enforces what the holder has agreed to.

It dials out only. It verifies every specification itself, judges it by its own policy file, never asks the
broker whether something is allowed, and lets nothing leave but masked, sealed words.

    settings, policy    what the holder wrote down: node.toml, policy.toml
    hours               when a policy lets questions be answered
    reloading           which policy is in force while the node runs
    sources             the table, its check against the dataset's schema, its version
    journal             what must outlive a restart: tries, seals, releases, cohorts
    runner              one assignment in, statements out: synchronous, no sockets
    link                carries assignments and statements between runner and broker
    approvals           the local officer's yes or no
    history             everything that was ever asked
    officers            who decides at the holder's machine; pause and resume
    app                 wires all of it together
"""
