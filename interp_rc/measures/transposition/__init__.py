"""The measure `transposition`."""
