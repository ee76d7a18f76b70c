"""Student's and Welch's t-test, one-way analysis of variance, and χ² of a cross-table.

One SELECT gives all they need: counts, averages and variances by group, or counts of a cross-table.
"""
