"""The measure `lens`."""
