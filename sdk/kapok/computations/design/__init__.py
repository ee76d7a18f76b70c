"""What models have in common: a matrix with one line for each row, and sums over it in fixed point.

    features, reading   text → typed tree of terms → text again; no formula is ever read at a node
    columns             tree + schema → `Design`: what an engine computes of a row, each column's bounds
    rows                a holder's rows as blocks of the standardised matrix, in bounded memory
    sums                floating point → whole words of one public scale, and back
    model               what every model over a matrix is as a question
    guards, choices     what a holder asks of its own rows before it shows any sum; conditions within a term
    flags, reasons      which rules its rows broke; the same in words
    contribution        a holder's half: from its rows to words, whatever happens
    coefficients        the parameters of a later round
    newton, solving     Newton's method over rounds; its equations
    report              what is said of every fit
    times, surv         a public grid of times; `Surv(time, event)`
    formula, options    what an analyst writes: R's notation, and what is said beside it
    own_rows            an analyst's own rows, for predictions

An engine computes each term of a row in whole steps, the same on every engine (`kapok.computations.rows`).
What it hands over becomes doubles, each column less a public centre and divided by a public half-width, so
that every entry lies in [-1, 1]: sums neither overflow their words nor cancel in them.
"""
