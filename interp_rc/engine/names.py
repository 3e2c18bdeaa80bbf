"""What metrics and prompts are called; commands offer the same, and load nothing heavy for it."""

from typing import Literal, get_args

Metric = Literal["log_prob", "probability", "logit_difference", "rank", "kl"]
METRICS: tuple[Metric, ...] = get_args(Metric)

Into = Literal["corrupted", "clean"]
INTO: tuple[Into, ...] = get_args(Into)
