"""The measure `gradients`."""
