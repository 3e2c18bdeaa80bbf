"""The measure `related_answer_floor`."""
