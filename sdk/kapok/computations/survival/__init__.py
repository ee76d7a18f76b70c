"""Kaplan-Meier curves and the log-rank test, on a public grid of times.

One SELECT counts, for each interval of the grid, event or not, and group. A time counts as the grid's first
time that is not before it; what lies beyond the last is under observation to the end. So the curve is that
of the pooled rows whose times are rounded up to the grid, and with every possible time in the grid exactly
theirs. Where an interval is suppressed, everything ends at the time before it, as if observation had.

Source: Kaplan and Meier (1958); Klein and Moeschberger (2003), Survival Analysis, 4.2, 4.3 and 7.3.
"""
