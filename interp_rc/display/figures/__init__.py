"""Drawings: a table in, a Matplotlib figure out."""
