"""Generalised linear models that equal the pooled fit, by Fisher scoring over secure sums.

    analyst   formula.written(…)                          a formula, read here alone → the model's text
    all       Model.parse(text, dataset)                  typed terms, columns with public bounds
    holder    contribute(model, dataset, engine, …)       round 1: sums at a start that is each row's own
    analyst   advance(model, dataset, state, sum)         → the next coefficients, or the fit
    holder    contribute_at(model, dataset, coefficients) each later round: sums at these coefficients

`families` are distributions with their links, `sums` what a round adds up to, `fit` what an analyst reads.

One round is one step. It sums the upper triangle of XᵀWX, the score XᵀWG(y-μ), deviance, Pearson's χ², and
the same for the model of a constant alone, which is fitted beside. The score, not XᵀWz: where it is zero does
not depend on how exactly XᵀWX is known.

Layout of the words: flags (`params.Layout`), rows used, dropped and out of range, then the sums in fixed
point (`kapok.computations.design.sums`). Source: McCullagh and Nelder (1989), Generalized Linear Models, 2.5.
"""
