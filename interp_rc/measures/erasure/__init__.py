"""The measure `erasure`."""
