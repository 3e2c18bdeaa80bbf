"""What nobody means: counts beyond which a request is refused before anything is drawn or made."""

MOST_COUNT = 10_000_000
"""Of whatever is counted out one by one: facts, pairs, steps, prompts in a batch."""
MOST_DOCUMENTS = 2_000_000
"""Of a fact set, which is held in memory."""
MOST_TRIALS = 5_000
"""Of a sweep: each is validated before the first one starts."""
MOST_WORKERS = 1_024
"""Threads, processes, calls under way at once."""
MOST_REPEATS = 10_000
"""Draws of noise for a prompt, steps of an integral: results are means over them."""
MOST_SEED = 2**63 - 1
"""What a column of a table holds."""
MOST_PARAMETERS = 4_000_000_000
"""Of a model that is made here, with random weights."""
