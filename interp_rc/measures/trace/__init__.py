"""The measure `trace`."""
