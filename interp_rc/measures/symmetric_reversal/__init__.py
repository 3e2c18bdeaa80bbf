"""The measure `symmetric_reversal`."""
