"""Rounds of a model of any size."""
