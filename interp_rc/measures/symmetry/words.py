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


def at(measured: Measured, *name: str) -> Estimate | None:
    """A result of the measure; None if this run has none."""
    return measured.estimates.get(".".join(("symmetry", *name)))


def methods(measured: Measured) -> list[str]:
    """Those of this run, as the page lists them."""
    return [
        method
        for method in METHODS
        if at(measured, "main", "two_labels", "names", method, "same", "after")
    ]


def sample_sizes(measured: Measured, method: str) -> list[int]:
    """Of training sets, in the search for how many pairs are needed."""
    start = f"symmetry.samples.{method}.size_"
    found = (name.removeprefix(start) for name in measured.estimates if name.startswith(start))
    return sorted(map(int, found))
