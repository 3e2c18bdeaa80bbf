"""Patching, tracing, knockout and paths."""
