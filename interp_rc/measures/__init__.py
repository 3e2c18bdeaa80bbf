"""What measures are given and what they hand back."""
