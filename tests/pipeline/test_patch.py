"""The mean of each site, as the command prints it."""

import pandas as pd

from interp_rc.pipeline.patch import summary


def test_contrasts_without_an_order_count_too():
    rows = [
        {"fact": fact, "order": None, "site": "z", "layer": 1, "position": position, "span": span,
         "token": token, "effect": effect}
        for fact, effect in (("f", 1.0), ("f", 3.0), ("g", 6.0))
        for position, span, token in ((4, None, None), (2, "A", "last"))
    ]  # fmt: skip
    table = pd.DataFrame(rows).astype({"position": "Int64"})
    found = summary(table)
    assert found.site.tolist() == ["z.1@4", "z.1@A.last"]
    assert found.facts.tolist() == [2, 2]
    assert found.effect.str.startswith("4.00 nat").all()
    assert found.order.isna().all()
