"""What a holder does not show: suppression, and what must be hidden with it.

hiding                   all rules, applied to one question's tables
dominance, backgrounds, branches    sums that tell of few rows: large ones, a background, a branch of CASE
suppression, blocks      further cells, so that margins give no small one back; tables of two axes
patterns                 what measures of the same rows hide for one another
selection                conditions, as choices of cells of a finer table
"""
