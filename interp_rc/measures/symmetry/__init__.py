"""The measure `symmetry`."""
