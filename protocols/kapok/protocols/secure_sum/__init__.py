"""The masked sum: one vector from each holder in, the sum alone out.

The exchange
------------
    analyst               broker (aggregator)              holder i of n
      specification ────────▶ offer ───────────────────────▶ checks it and its own policy
                              ◀────────────── consent_i ──── signed: name, two keys, cohort statement
                              roster: all consents ────────▶ checks every one of them, and the cohort rule
                                                             x_i from its data, always of the same length
                              ◀── seal_i, chunks of y_i ──── y_i = x_i ± Σ G(k_ij) + G(κ_i), κ_i from b_i
                              fold: Σ y_i                    journal: ρ_i = HPKE_R(b_i), never b_i
                              complete: all seals ─────────▶ checks them; one attempt of a round, ever
      Σ y_i, all signed ◀──── ◀────────────── release_i ──── signed: ρ_i
      b_i; − Σ G(κ_i); tag checked: Σ x_i

Who learns what
---------------
    holder    its own x_i; who is in the roster; parameters of each round. Nothing of another holder's x_j
    broker    names, sizes, times, a one-round question's text. Under ``paillier`` y_i is encrypted as well
    analyst   Σ x_i of one roster, whole or not at all; never Σ of a part of it
    together  broker, analyst and all organisations but two: Σ of the x_i of those two

What each piece is for
----------------------
    pairwise masks   hide x_i from everybody, analyst and broker together; cancel in the whole roster's sum
    κ_i, ρ_i         keep the sum from the broker, and let one roster's sum be opened per round
    Paillier         a second lock on the same door, independent of X25519 and AES
    roster hash      in every key: holders that were shown different things produce noise
    tag              shows that nobody without the seed shifted the sum
    cohort rule      keeps sums of different rosters from being subtracted

Two things are bound into the pairwise masks besides the context and the names: a commitment to the tag's
seed, because an analyst that gave each holder another seed would get one more independent equation out of the
tags; and both mask keys.

Not held against: a node that lies about its own data, inference from several permitted sums, a colluding node
that knows the seed and shifts the sum with the broker's help.

Read in this order: `params` (what is agreed), `messages` (what is signed), `context` and `roster` (who takes
part), `cohort` (with whom ever), `sealing` and `tag` (the kernel), `framing` and `vector` (bytes), then one
file per role: `holder`, `aggregator`, and `analyst`, who is handed `evidence`. A holder's journal keeps
`records`, from which `releasing` does its last step; `round_parameters` are for jobs of several rounds. There
is no recovery step, for nobody ever reveals a pairwise key: an attempt whose member drops before it is
complete is void, and the next one has another roster.

Source: the masks follow Bonawitz et al., "Practical Secure Aggregation for Privacy-Preserving Machine
Learning", CCS 2017, sections 4 and 6, without secret sharing; Paillier's cryptosystem as Damgård, Jurik and
Nielsen, 2010.
"""
