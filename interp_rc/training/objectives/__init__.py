"""Training objectives; each offers ``loss(model, batch) -> scalar tensor``, a mean over tokens, and
``scored_tokens(batch)``, how many those are."""
