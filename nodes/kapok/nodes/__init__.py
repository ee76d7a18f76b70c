"""The node: the daemon that stands beside a holder's data and enforces what the holder has agreed to.

It dials out only. It verifies every specification itself, judges it by its own policy file, never asks the
broker whether something is allowed, and lets nothing leave but masked, sealed words.

    settings, source_settings, policy    what the holder wrote down: node.toml, policy.toml
    wording, policy_check, checking      the policy in words; what in it cannot work; `kapok node check`
    hours               when a policy lets questions be answered
    reloading           which policy is in force while the node runs
    sources, drafting   the table, its check against the dataset's schema, its version; a first schema
    joining             from a dataset's document to the signed membership
    journal             what must outlive a restart: tries, seals, releases, cohorts
    states              where a job is at this node
    runner              one assignment in, statements out: synchronous, no sockets
    apps                Flower apps beside the data: approved by hash, shut in
    link, fetching      carries assignments and statements between runner and broker; a round's parameters
    approvals           the local officer's yes or no
    reopenings          reopenings of cohorts that the holder's people bring from a file
    history             everything that was ever asked
    officers            who decides at the holder's machine; pause and resume
    metrics             what is counted
    app                 wires all of it together
"""
