"""Cox's proportional hazards that equal the pooled fit, by Newton's steps over secure sums.

    analyst   formula.cox_text(…)                       Surv(time, event) ~ age + sex → the model's text
    holder    contribute(model, dataset, engine, …)     round 1: sums at β = 0
    analyst   advance(model, dataset, state, sum)       → the next coefficients, or the fit
    holder    contribute_at(model, dataset, β, …)       each later round: sums at β

Times are rounded up to a public grid; ties are Breslow's. For each interval of the grid those rows that leave
there are summed up: how many, how many with the event, and Σ w, Σ w x, Σ w x xᵀ with w = exp(xβ). Those
at risk at a time are all that leave there or later, so that (`likelihood`)

    ℓ(β) = Σ_events xβ - Σ_j d_j log S0_j        S0_j = Σ_{at risk at j} w,  S1_j and S2_j likewise

Layout of the words: flags (`params.Layout`), rows used, dropped and out of range, rows and events of each
interval, Σ_events x, then each interval's sums in fixed point. Source: Breslow (1974); Klein and Moeschberger
(2003), Survival Analysis, 8.3 and 8.4.
"""
