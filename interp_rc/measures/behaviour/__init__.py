"""The measure `behaviour`."""
