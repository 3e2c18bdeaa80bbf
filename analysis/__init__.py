"""What compares finished runs with each other and with published tables."""
