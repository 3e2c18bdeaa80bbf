"""Small ragged contrasts in words, and arrays of what was found and expected of them."""

import numpy as np

from tests.engine.loop import MASK, MASKED, Pair


def words(text):
    """Words by their numbers; `_` is a mask."""
    return [MASK if one == "_" else f"w{one}" for one in text.split()]


def pairs(family):
    """Ragged sources and prompts; targets and foils of one and of several tokens."""
    if family in MASKED:
        return [
            _pair("one", "3 4 5 _ 6", "3 7 8 _ 6", (1, 3), (1, 3), "20", "28"),
            _pair("even", "3 4 5 _", "13 14 15 _", (0, 3), (0, 3), "26 27", "3 4"),
            _pair("three", "9 1 2 8 7 _ 6 4", "9 3 _ 6 4", (1, 4), (1, 2), "21 22 23", "24"),
            _pair("masks", "_ 5 5 8 _", "_ 6 2 9 9 9 _", (1, 3), (1, 4), "24 25", "1 2"),
        ]
    return [
        _pair("one", "3 4 5 6 11", "3 7 8 6 11", (1, 3), (1, 3), "20", "28"),
        _pair("even", "3 4 5 6", "13 14 15 16", (0, 3), (0, 3), "26 27", "3 4"),
        _pair("three", "9 10 1 2 8 7 6 4 3", "9 10 3 6 4 3", (2, 5), (2, 3), "21 22 23", "24"),
        _pair("longer", "5 6 8 1", "5 2 9 6 8 12 1", (1, 2), (1, 4), "24 25", "1 2"),
    ]


def _pair(name, clean, corrupted, source, source_of_corrupted, target, foil):
    prompts = words(clean), words(corrupted)
    return Pair(name, *prompts, (source, source_of_corrupted), words(target), words(foil))


def values(sweep, some, sites, **kwargs):
    return np.array([[sweep.value(pair, site, **kwargs) for site in sites] for pair in some])


def found(effects, some):
    return effects.table.value.to_numpy().reshape(len(some), -1)


def plain(family):
    return family == "gemma2"  # its own attention rounds to float32
