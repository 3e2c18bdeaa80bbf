"""The measure `forgetting`."""
