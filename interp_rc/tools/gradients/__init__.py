"""Gradients by module, and single steps of training."""
