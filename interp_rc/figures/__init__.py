"""From a table to matplotlib Axes."""
