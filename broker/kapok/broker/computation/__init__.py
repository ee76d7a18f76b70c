"""Jobs and attempts: the broker's logic, synchronous, with an injected clock and no sockets.

    analyst ── submit ──▶ admission ─▶ gathering ◀── consent / refuse ── node
                                          │ opening
                                       sealing   ◀── seal ─────────────── node
                                          │ completion
                                       releasing ◀── release ──────────── node
                                          │ summing
    analyst ◀── fetch ─── evidence and sealed sum
                             │ consultation, after every round but the last
    analyst ── steer ──▶ steering ─▶ the next round's sealing

    states       the transition tables, with the essay
    admission    what the broker itself asks of a specification; `admitted`, what later steps read of it
    scheduling   which of an analyst's jobs nodes are asked for, and which wait
    cohorts      whose turn it is while a cohort is not fixed
    patience     how long a job that settles for fewer waits for everybody
    rosters      who makes up the next attempt
    statements   what nodes signed, verified before it is believed; `faults`, what could not be used
    gathering    consents, refusals
    openings     the beginning of an attempt
    sealing      uploads, completion, the fold
    releasing    releases, the end of an attempt
    steering     the analyst's parameters, which begin each later round
    endings      failure, cancellation, voiding, and what is deleted with them
    assignments  what a node owes now
    status       what an analyst is told
    deadlines    what happens by the clock alone
    peers        other broker processes on the same store
    context      what every step works with: one transaction, one instant
    jobs         all of it behind one face

Everything here is derived from the store: a broker that was killed goes on where it was. What a party says is
believed after its signature has been verified and its signer is seen to be the caller, never before.
"""
