"""Training objectives; each offers ``loss(model, batch) -> scalar tensor``."""
