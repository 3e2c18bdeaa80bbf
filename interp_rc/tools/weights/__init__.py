"""Weights of one model in another."""
