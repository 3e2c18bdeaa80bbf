"""The measure `attention`."""
