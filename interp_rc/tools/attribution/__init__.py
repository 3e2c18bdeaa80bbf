"""What a difference is due to, by gradients and by parts of the logit."""
