"""Intervals, tests, effect sizes, corrections and power: thin over SciPy and statsmodels."""
