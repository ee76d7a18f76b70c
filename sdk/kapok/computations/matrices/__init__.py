"""Covariance and correlation matrices, and principal components, of rows that lack none of the columns.

One SELECT gives all sums of squares and products.
"""
