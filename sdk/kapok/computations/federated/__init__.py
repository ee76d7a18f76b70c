"""Training together: an app at each node, and of what the apps give back nothing but the weighted mean.

One *exchange* is one round of a job: all nodes get one instruction (train this model; evaluate it) and each
contributes, as words of one width,

    flag ‖ 1 ‖ w ‖ record and metric names, as bytes ‖ their squares ‖ w·metrics ‖ w·arrays

of which the sum alone is opened: Σ w·arrays ÷ Σ w is the mean. How many words there are follows from the
question, which names the arrays of the model; how fine they are from its bounds (`layout`). Names of metrics
are an app's own, so every holder says them inside the mask; the analyst reads them where all say the same.

`question` says what a job asks, `contribution` is the holder's half and `mean` the analyst's.

A holder that cannot contribute (its app failed, its checks did, it has too few rows) sends a flag and uniform
words instead: the sum then opens to nothing, and nobody learns which holder it was. Its own log says so.
"""
