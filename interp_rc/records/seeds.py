"""One seed for a run; every use derives its own, so that adding a stage changes no other."""

import hashlib
import random


def derive_seed(seed: int, *use: str | int) -> int:
    """A 32-bit seed for one named use of the run's seed."""
    text = "/".join([str(seed), *map(str, use)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def generator(seed: int, *use: str | int) -> random.Random:
    """Python's generator, seeded for one named use."""
    return random.Random(derive_seed(seed, *use))
