"""Experiments: who sees which of two models, and whether one of them is better. Pure: no I/O, no clock."""
