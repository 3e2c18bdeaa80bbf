"""The table `evaluation/symmetry.parquet`: what every judge and shortcut answered, counted."""

from collections.abc import Sequence

import pandas as pd

from interp_rc.measures.symmetry.kept import Kept
from interp_rc.measures.symmetry.plan import Trial

COLUMNS = [
    "protocol", "label_set", "entities", "method", "distance", "variant", "draw", "size", "epochs",
    "when", "left_out", "taught", "test", "relation", "form", "label", "n", "hits",
]  # fmt: skip


def table_of(done: Sequence[tuple[Trial, Kept]]) -> pd.DataFrame:
    """A row for each trial, test set, relation, form and label.

    protocol: main, new_label, left_out or samples
    label_set, entities, method, distance, draw, size, epochs: of the trial; method is also the
        name of a shortcut
    variant: the method, with its distance where that is another than the cosine (nearest_l2)
    when: before or after training; shortcuts are `after`, having seen the same pairs
    left_out: the relation that was not trained on, or ""
    taught: how a judge came by a new label (remembered, together), or ""
    test: same, held_out, other_entities, wrong_entity, shuffled or left_out (`asked.py`)
    relation, form, label: of the pairs that were asked; in wrong_entity and shuffled sets, the
        label of the pair before it was altered
    n, hits: pairs, and how many of them were answered by that label
    """
    rows = [
        {name: getattr(trial, name) for name in COLUMNS if hasattr(trial, name)} | row
        for trial, found in done
        for row in found["rows"]
    ]
    return pd.DataFrame(rows, columns=COLUMNS)
