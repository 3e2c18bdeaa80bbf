"""Models whose store of facts is known, because it was put there."""
