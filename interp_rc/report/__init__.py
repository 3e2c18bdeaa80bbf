"""Composes figures and tables into the page of a run."""
