"""The section on movement, from a table made by hand."""

import numpy as np
import pandas as pd
import pytest

from interp_rc.measures.movement.entity_places import places_of
from interp_rc.measures.movement.estimates import moved, movement_estimates
from interp_rc.measures.movement.measure import TABLE
from interp_rc.measures.movement.section import section
from interp_rc.records.files import write_parquet
from interp_rc.records.nouns import TRAINED
from interp_rc.records.runs import Measured
from tests.conftest import drawn

ORDERS = {
    "trained_forward": ["forward"],
    "trained_backward": ["backward"],
    "both": ["forward", "backward"],
}


def by_hand(phases=("steps", "finetuned")):
    """Names told first move by 30 % more than others, names told second by 10 %."""
    draw = np.random.default_rng(0)
    rows = []
    for group in TRAINED:
        for i in range(4):
            for of in ("name", "description"):
                for at in places_of(2):
                    about = {"group": group, "fact": f"{group}.{i}", "of": of}
                    about |= {"place": at.place, "layer": at.layer}
                    own = 0.2 + 0.1 * (of == "name") * (3 if group == TRAINED[0] else 1)
                    own += 0.001 * draw.normal()
                    rows += [
                        about | {"phase": p, "steps": n, "quantity": "movement", "own": own,
                                 "others": 0.2}
                        for p, steps in (("steps", (1, 2)), ("finetuned", (None,)))
                        if p in phases
                        for n in steps
                    ]  # fmt: skip
                    rows += [
                        about | {"phase": "steps", "steps": n, "quantity": "gradient",
                                 "order": order, "own": 1.25, "others": None}
                        for n in (0, 1, 2)
                        for order in ORDERS[group]
                    ]  # fmt: skip
    table = pd.DataFrame(rows).astype({"layer": "Int64", "steps": "Int64", "others": float})
    return table.assign(difference=table.own - table.others, tied=True)


@pytest.mark.slow
@pytest.mark.parametrize("phases", [("steps", "finetuned"), ("steps",)])
def test_the_section_tells_first_second_and_both(make, phases):
    run, table = make(measures=["movement"]), by_hand(phases)
    write_parquet(run.folder / f"{TABLE}.parquet", table)
    page = drawn(section(run, Measured(movement_estimates(table, 0), tests=moved(table))))
    text = page.sentence.replace("\N{NO-BREAK SPACE}", " ")
    assert text.startswith("After 2 steps")
    assert "as it came" in page.note  # a run without a base
    assert "names told first by 30.0 %" in text
    assert "told second by 10.0 %" in text
    assert "what is told second moves by −10.0 %" in text  # half of -0.3 + 0.1
    assert ("finetuning" in text) == (len(phases) == 2)
    assert "one matrix" in page.note
    [table] = page.tables
    assert len(table.rows) == 4 * 2 * 2
    assert table.rows[0][1:] == ["name, first", "0", "1.25", "1.25", "1.25", "1.25"]
    assert (run.figures / "movement.png").stat().st_size > 10_000
