"""What the model says: match, likelihood, candidate accuracy, rank, forgetting."""
