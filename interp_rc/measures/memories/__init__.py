"""The measure `memories`."""
