"""The measure `update_geometry`."""
