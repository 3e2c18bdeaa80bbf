"""Estimates, tests and the page from tables made up so that the answers are known."""

import numpy as np
import pandas as pd
import pytest

from interp_rc.display.wording import spoken
from interp_rc.measures.transplant import section as transplant
from interp_rc.measures.transplant.estimates import (
    SETS,
    SINGLE,
    SITES,
    curves,
    transplant_estimates,
    transplant_tests,
)
from interp_rc.records.runs import Measured, Run

FACTS = [f"f{n}" for n in range(12)]
GAINS = {"all": 10.0, "greedy": 9.0, "units": 9.5, "random": 4.0, "as_large": 8.0}
NAMES = ["model.layers.0.mlp.up_proj", "model.layers.1.mlp.up_proj", "input_embedding"]


def made_up(reverse=0.0):
    draw = np.random.default_rng(0)
    rows = []
    for kind, gain in GAINS.items():
        for k in (1, 2, 3) if kind in ("greedy", "random") else (3,):
            for fact in FACTS:
                for asked in ("told", "paraphrase", "reverse"):
                    noise = draw.normal(0, 0.05)
                    effect = (reverse if asked == "reverse" else gain * k / 3) + noise
                    last = kind == "greedy" and k == 3
                    rows.append((kind, 0, k, fact, asked, effect, last, "forward"))
    columns = ["set", "draw", "k", "fact", "asked", "effect", "last", "told"]
    sites = [
        (kind, place, name, None if "." not in name else int(name[13]), part, size, "forward")
        for kind in ("all", "greedy")
        for place, (name, part, size) in enumerate(
            zip(NAMES, ("mlp", "mlp", "input_embedding"), (10, 30, 60), strict=True), 1
        )
        if kind == "all" or place != 2
    ]
    about = ["set", "place", "site", "layer", "component", "size", "told"]
    named = pd.DataFrame(sites, columns=about).astype({"layer": "Int64"})
    return {SETS: pd.DataFrame(rows, columns=columns), SITES: named}


def test_estimates_are_means_over_facts():
    tables = made_up()
    found = transplant_estimates(tables, 0)
    for kind, gain in GAINS.items():
        one = found[f"transplant.smallest.forward.{kind}.told"]
        assert one.value == pytest.approx(gain, abs=0.1)
        assert one.low < one.value < one.high
        assert one.n == len(FACTS)
    assert found["transplant.smallest.forward.greedy.sites"].value == 2
    assert found["transplant.smallest.forward.greedy.weights"].value == pytest.approx(0.7)
    holds = {n.rpartition("holds.")[2]: e.value for n, e in found.items() if "holds." in n}
    assert holds == {"mlp.layer_0": 1.0, "mlp.layer_1": 0.0, "input_embedding": 1.0}


def test_curves_are_means_over_facts_of_each_number():
    tables = made_up()
    found = curves(tables, 0)
    table = tables[SETS]
    ks = sorted(set(table[table.set == "greedy"].k))
    for k in ks:
        effects = {}
        for row in table.itertuples():
            if (row.set, row.k, row.asked) == ("greedy", k, "reverse"):
                effects.setdefault(row.fact, []).append(row.effect)
        means = [sum(some) / len(some) for some in effects.values()]
        one = found[f"transplant.by_number.forward.greedy.reverse.k{k}"]
        assert (one.value, one.n) == (pytest.approx(sum(means) / len(means)), len(FACTS))
    assert not any("as_large" in name or "paraphrase" in name for name in found)


def test_the_part_that_brings_most_and_the_one_missed_most():
    worth = {
        "given": {("mlp", 0): 2.0, ("attention", 1): 3.5, ("norms", None): 0.0},
        "taken": {("mlp", 0): -4.0, ("attention", 1): -1.0, ("norms", None): 0.5},
    }
    single = pd.DataFrame(
        {
            "act": act,
            "metric": "fact" if act == "given" else "lead",
            "component": component,
            "layer": layer,
            "site": component if layer is None else f"{component}.{layer}",
            "query": f"q{fact}",
            "fact": fact,
            "group": "trained_forward",
            "direction": direction,
            "effect": effect if direction == "same" else 9 * effect,
            "whole": 5.0,
        }
        for act, values in worth.items()
        for (component, layer), effect in values.items()
        for fact in FACTS
        for direction in ("same", "reverse")
    ).astype({"layer": "Int64"})
    found = transplant_estimates({SINGLE: single}, 0)
    most = [row for row in found.rows if str(row.of.get("quantity")).startswith("most_")]
    assert {row.name: (row.of.get("layer"), row.estimate.value) for row in most} == {
        "transplant.most_given.attention.layer_1": (1, 3.5),
        "transplant.most_taken.mlp.layer_0": (0, -4.0),
    }
    assert found["transplant.taken.norms.reverse"].value == 4.5


def test_tests_tell_more_from_less():
    tests = {t.name.removeprefix("transplant.smallest.forward."): t
             for t in transplant_tests(made_up())}  # fmt: skip
    assert tests["more_than_random"].p_adjusted < 0.001
    assert tests["more_than_as_large"].p_adjusted < 0.001


def test_the_page_has_the_chosen_sites_and_all_sets(tmp_path):
    tables = made_up()
    run = Run(tmp_path)
    run.config_file.write_text("seed: 0\n")
    single = pd.DataFrame({"site": ["mlp.0"], "layer": [0]})
    for name, table in (tables | {SINGLE: single}).items():
        run.mechanism.mkdir(exist_ok=True)
        table.to_parquet(tmp_path / f"{name}.parquet")
    numbers = transplant_estimates(tables, 0) | curves(tables, 0)
    found = Measured(numbers, tables=[SETS, SITES])
    section = transplant.section(run, found)
    assert "the 2 matrices chosen on half of them" in section.sentence
    for kind in ("greedy.told", "all.told", "random.told", "as_large.told", "greedy.reverse"):
        assert spoken(found.estimates[f"transplant.smallest.forward.{kind}"]) in section.sentence
    assert len(section.figures) == 2
    _, chosen, compared = section.tables
    assert [row[1] for row in chosen.rows] == ["0.mlp.up_proj", "input_embedding"]
    assert len(compared.rows) == len(GAINS)
