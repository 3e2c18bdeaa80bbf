"""The measure `integrated_gradients`."""
