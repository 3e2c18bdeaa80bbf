"""The measure `transplant`."""
