"""Probes: what can be read out of the stream."""
