"""What a judge of each protocol is asked: sets of pairs by name."""

from interp_rc.measures.symmetry.altered import neutral, shuffled, wrong_entity
from interp_rc.measures.symmetry.plan import Trial
from interp_rc.measures.symmetry.pools import Cell, Pools
from interp_rc.records.nouns import EntityForm, Pair

Sets = dict[str, list[Pair]]
UNMOVED = ("wrong_entity", "shuffled")
"""Sets in which nothing follows; their labels are the answers for the pairs before alteration."""


def asked(pools: Pools, trial: Trial) -> Sets:
    """Without those that there are no pairs for.

    `same`: as trained on. `held_out`: in wordings that are for tests alone. `other_entities`: names
    for a judge trained on ids, ids for one trained on names. `wrong_entity` and `shuffled` (two
    labels): `same` with others in the hypothesis. `left_out`: `same` about the relation left out.
    With a new label, `same` has pairs of it, too.
    """
    cell, test = trial.cell, trial.test
    if trial.protocol == "left_out":
        found = {"left_out": pools.test(cell, test, about=trial.left_out)}
    else:
        found = {"same": pools.test(cell, test)}
    if trial.protocol == "new_label":
        found["same"] += neutral(found["same"])[: len(found["same"]) // 2]
    if trial.protocol == "main":
        found |= {
            "held_out": pools.test(cell, test, held_out=True),
            "other_entities": pools.test(_other(cell), test),
        }
        if cell.label_set == "two_labels":
            found |= {"wrong_entity": wrong_entity(found["same"])}
            found |= {"shuffled": shuffled(found["same"])}
    return {name: pairs for name, pairs in found.items() if pairs}


def _other(cell: Cell) -> Cell:
    other: EntityForm = "ids" if cell.entities == "names" else "names"
    return Cell(cell.label_set, other)
