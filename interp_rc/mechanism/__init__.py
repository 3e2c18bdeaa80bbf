"""Where in the network an association is stored."""
