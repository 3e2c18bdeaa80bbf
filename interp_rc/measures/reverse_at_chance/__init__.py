"""The measure `reverse_at_chance`."""
