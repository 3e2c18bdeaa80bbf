"""What encoders say about symmetric and antisymmetric relations, and what retraining cost them."""
