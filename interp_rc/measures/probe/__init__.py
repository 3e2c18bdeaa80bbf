"""The measure `probe`."""
