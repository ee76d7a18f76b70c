"""Logistic regression over the heart disease files of four hospitals."""
