"""The measure `movement`."""
