"""The measure `bilinear`."""
