"""The measure `symmetry_where`."""
