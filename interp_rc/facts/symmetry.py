"""A fact set of pairs that ask whether a relation holds the other way round."""

from itertools import product
from typing import get_args

from interp_rc.facts.factset import FactSet, check_count
from interp_rc.facts.relations import relations
from interp_rc.facts.symmetry_pairs import symmetry_pairs
from interp_rc.records.nouns import EntityForm, LabelSet, Pair, Split

# The parts of a set: its split, and whether in held-out wordings.
PARTS: tuple[tuple[Split, bool], ...] = (("train", False), ("test", False), ("test", True))


def symmetry(seed: int, *, train: int = 1000, test: int = 300) -> FactSet:
    """Pairs of each label set and entity form: `train`, `test`, and `test` in held-out wordings.

    Raises DataError for more than memory holds; `write_symmetry` makes any number.
    """
    check_count(4 * (train + 2 * test), "pairs")
    pairs = [
        pair
        for label_set, entities in product(get_args(LabelSet), get_args(EntityForm))
        for split, held_out in PARTS
        for pair in symmetry_pairs(
            seed,
            train if split == "train" else test,
            label_set=label_set,
            entities=entities,
            split=split,
            held_out=held_out,
        )
    ]
    return of_pairs(pairs, seed)


def of_pairs(pairs: list[Pair], seed: int) -> FactSet:
    """A set that holds pairs of the table's relations, and nothing to train a causal model on."""
    return FactSet(
        facts=[],
        relations=[entry.relation for entry in relations().values()],
        templates=[],
        documents=[],
        queries=[],
        seed=seed,
        pairs=pairs,
    )
