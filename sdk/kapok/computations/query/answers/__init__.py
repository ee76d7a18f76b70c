"""What the analyst computes after aggregation.

values     exact until the end, with null and suppressed as values of their own
calls      operators and functions on them
formulas   an expression over groups and aggregates as a function
"""
