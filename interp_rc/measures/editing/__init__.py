"""The measure `editing`."""
