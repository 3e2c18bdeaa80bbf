"""The measure `exact_match`."""
