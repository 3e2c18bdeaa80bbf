"""Retrain a sentence encoder to tell entailment by what happens when the entities change places."""
