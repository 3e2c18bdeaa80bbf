"""How it learns: objectives, finetuning, and the embedded base models."""
