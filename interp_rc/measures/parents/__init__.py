"""The measure `parents`."""
