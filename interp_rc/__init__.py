"""interp-rc: why a model trained on "A is B" cannot say "B is A", and where that lives."""

__version__ = "0.1.0"
