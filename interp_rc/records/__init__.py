"""Nouns, numbers, file schemas, atomic writes, the reader of a run, errors and seeds."""
