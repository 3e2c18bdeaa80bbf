"""What it costs: memory and time of this project's work."""
