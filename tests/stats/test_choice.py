"""Choosing in one template and measuring in the others, against a plain loop."""

import numpy as np
import pandas as pd
import pytest

from interp_rc.stats.choice import choose_places


@pytest.fixture
def rows():
    """Three facts of each of two groups, in three templates, at two sites of four layers."""
    draw = np.random.default_rng(4)
    return pd.DataFrame(
        {
            "template": template,
            "fact": f"{group}.{fact}",
            "group": group,
            "site": site,
            "layer": layer,
            "effect": draw.normal(),
        }
        for template in ("t7", "t2", "t5")
        for group in ("one", "other")
        for fact in range(3)
        for site in ("mlp_out", "attn_out")
        for layer in range(4)
    )


def by_hand(rows, template, group):
    """Place -> mean effect of the group's facts in a template."""
    effects = {}
    for row in rows.itertuples():
        if row.template == template and row.group == group:
            effects.setdefault((row.site, row.layer), []).append(row.effect)
    return {place: sum(some) / len(some) for place, some in effects.items()}


def test_the_best_places_of_one_template_are_measured_in_the_others(rows):
    found = choose_places(
        rows, "effect", ["site", "layer"], "nat", among=rows.group == "one", count=3
    )
    means = by_hand(rows, "t7", "one")
    assert [one.place for one in found] == sorted(means, key=means.get, reverse=True)[:3]
    for one in found:
        site, layer = one.place
        assert one.by.value == pytest.approx(means[one.place])
        assert (one.by.low, one.by.high, one.by.n, one.by.unit) == (None, None, 3, "nat")
        there = [
            row.effect
            for row in rows.itertuples()
            if row.template != "t7" and (row.site, row.layer) == (site, layer)
        ]
        assert len(there) == 2 * 6
        assert list(one.elsewhere.effect) == there


def test_what_another_group_shows_chooses_nothing(rows):
    loud = rows.assign(effect=rows.effect + 9 * ((rows.group == "other") & (rows.layer == 0)))
    quiet, heard = (
        choose_places(table, "effect", ["site", "layer"], "nat", among=table.group == "one")
        for table in (rows, loud)
    )
    assert quiet[0].place == heard[0].place
    assert choose_places(loud, "effect", ["layer"], "nat")[0].place == (0,)


def test_a_choice_among_nothing_but_noise_is_not_flattered():
    draw = np.random.default_rng(0)
    elsewhere, chosen = [], []
    for _ in range(200):
        rows = pd.DataFrame(
            {
                "template": np.repeat(["a", "b"], 40),
                "fact": np.tile(np.repeat(range(4), 10), 2),
                "layer": np.tile(range(10), 8),
                "effect": draw.normal(size=80),
            }
        )
        [one] = choose_places(rows, "effect", ["layer"], "nat")
        chosen.append(one.by.value)
        elsewhere.append(one.elsewhere.effect.mean())
    assert np.mean(chosen) > 0.6  # the largest of ten means of four
    assert abs(np.mean(elsewhere)) < 0.1


def test_of_equal_places_the_first_is_meant(rows):
    even = rows.assign(effect=1.0)
    found = choose_places(even, "effect", ["site", "layer"], "nat", count=2)
    assert [one.place for one in found] == [("attn_out", 0), ("attn_out", 1)]


def test_one_template_alone_measures_what_it_chose(rows):
    alone = rows[rows.template == "t2"]
    [one] = choose_places(alone, "effect", ["layer"], "nat")
    assert set(one.elsewhere.template) == {"t2"}
    assert one.elsewhere.effect.mean() == pytest.approx(one.by.value)
