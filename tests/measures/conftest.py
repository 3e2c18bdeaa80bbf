"""What tests of several measures need: runs about made-up facts, pairs of models."""

from tests.report.conftest import facts, make
from tests.tools.weights.conftest import pairs

__all__ = ["facts", "make", "pairs"]
