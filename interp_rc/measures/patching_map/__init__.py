"""The measure `patching_map`."""
