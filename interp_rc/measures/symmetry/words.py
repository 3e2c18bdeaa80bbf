"""What the page calls the methods, shortcuts and tests of the symmetry benchmark."""

from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Measured

METHODS = {
    "label_embeddings": "(a) label embeddings",
    "nearest": "(b) nearest neighbours",
    "joint_nearest": "(c) learnt distance",
    "head": "(d) classification head",
}
DISTANCES = {"l2": "L2", "rotate": "RotatE"}
OTHERS = {
    f"{method}_{distance}": f"{METHODS[method][:3]} with {said}"
    for method in ("label_embeddings", "nearest")
    for distance, said in DISTANCES.items()
}
SHORTCUTS = {
    "lookup": "look-up of the relation’s words",
    "relation_only": "the relation’s words alone",
    "hypothesis_only": "the hypothesis alone",
    "frozen_pair": "the pair as the encoder came",
}
PAPER = "Yuan and Vlachos (2025, arXiv:2504.16312)"
NEEDED = {"label_embeddings": 48, "nearest": 64, "joint_nearest": 400, "head": 336}
"""Training pairs for 100 %, as published of RoBERTa-large."""


NAMES = {"part": "main", "label_set": "two_labels", "entities": "names"}
LEFT_OUT = NAMES | {"part": "left_out"}
"""What the results of the published form are of, of all relations and of those left out."""


def methods(measured: Measured) -> list[str]:
    """Those of this run, as the page lists them."""
    return [
        method
        for method in METHODS
        if measured.estimates.find(**NAMES, method=method, role="same", when="after")
    ]


def by_size(measured: Measured, method: str) -> dict[int, Estimate]:
    """By the size of the training set, in the search for how many pairs are needed."""
    of = {"part": "samples", "method": method}
    sizes = measured.estimates.where(**of).each("size")
    return {size: measured.estimates.of(**of, size=size) for size in sorted(sizes)}
