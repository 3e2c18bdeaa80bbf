"""One run: configuration, stages, resume."""
