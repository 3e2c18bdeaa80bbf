"""What the weights carry: parts of one model's weights moved into another's."""
