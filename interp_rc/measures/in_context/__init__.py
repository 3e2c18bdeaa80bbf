"""The measure `in_context`."""
