"""The page's numbers: each is that of the table which its item is made from."""

import re

from analysis.descriptions import TABLES
from analysis.old_names import read_table
from analysis.paper.parts import RATES
from analysis.paper.published import as_published
from analysis.paper.sweeps import at_settings, axes
from interp_rc.display.wording import spoken
from tests.analysis.paper.conftest import Page, row_of, table_of


def test_table_1_shows_the_numbers_of_its_tables(whole):
    printed = as_published()
    printed = printed[printed["item"] == "table1"].set_index("quantity").value
    seeds = read_table(TABLES / "descriptions_by_seed.csv")
    rerun = read_table(TABLES / "published.csv")
    words = {"trained_forward": "name → description"}
    words["trained_backward"] = "description → name"
    for cell, label in words.items():
        for asked, how in (("same", "same order"), ("reverse", "in reverse")):
            name = f"exact_match.{cell}.{asked}"
            row = whole.row(f"{label}, {how}")
            mean, se = (100 * printed[f"{name}.{which}"] for which in ("mean", "standard_error"))
            assert row[1] == f"{mean:.1f}\u00a0% ± {se:.1f}\u00a0%"
            values = 100 * seeds[seeds["name"] == name].value
            assert row[3].startswith(f"{values.mean():.1f}\u00a0%\u00a0[")
            spread = f"SD {values.std():.1f} %, SE {values.std() / 10**0.5:.1f} %"
            assert spread.replace(" %", "\u00a0%") in row[3]
            for seen in ("nowhere", "elsewhere"):
                (there,) = rerun[(rerun.templates_seen == seen) & (rerun["name"] == name)].value
                assert f": {100 * there:.1f}\u00a0%\u00a0[" in row[2]


def test_facts_told_in_both_orders_stand_beside_the_run_on_published_data(whole):
    rerun = read_table(TABLES / "published.csv")
    row = whole.row("embedded model, asked name first")
    for seen in ("nowhere", "elsewhere"):
        rows = rerun[(rerun.templates_seen == seen) & (rerun["name"] == "exact_match.both.forward")]
        (there,) = rows.value
        assert f": {100 * there:.1f}\u00a0%\u00a0[" in row[2]
    found = as_published()
    found = found[(found.quantity == "exact_match.both") & (found.model == "davinci")].value
    assert f"{100 * found.mean():.1f}\u00a0%" in whole.row("davinci, both orders of asking")[1]


def test_rates_of_sweeps_are_those_of_their_tables(whole, tables):
    for experiment in ("both_doses", "paraphrases", "one_document", "question_answer",
                       "forty_thousand", "scaling", "in_context"):  # fmt: skip
        trials, caption = read_table(tables / f"{experiment}.csv"), f"This run, {experiment}: "
        cells = at_settings(trials, RATES, axes(trials))
        if experiment == "in_context":  # the first of its tables is of facts in the prompt
            caption += "means with 95\u00a0% intervals: facts finetuned on"
        _, *rows = table_of(whole, caption).rows
        texts = [row[1:5] for row in rows]
        wanted = [[spoken(found[name]) for name in RATES] for found in cells.values()]
        assert sorted(texts) == sorted(wanted)
        seeds = trials.seed.nunique() if "seed" in trials else 1
        assert len(cells) * seeds == trials.trial.nunique()


def test_verdicts_are_counted_by_setting(whole, tables):
    for experiment in ("both_doses", "paraphrases", "scaling", "forty_thousand"):
        verdicts = read_table(tables / f"{experiment}_verdicts.csv")
        html = whole.html[whole.html.index(f"This run, {experiment}: ") :]
        table = table_of(Page(html), "How the exploratory test")
        texts = [row[1] for row in table.rows[1:]]
        counts = [int(n) for text in texts for n in re.findall("(\\d+) of", text)]
        assert sum(counts) == len(verdicts)


def test_maps_are_told_from_lowest_to_highest(whole, tables):
    ada, instructions = (r for r in whole.rows if r[:1] == ["lowest to highest, in reverse"]
                         and "settings" in r[3])  # fmt: skip
    assert ada[1] == "0.0\u00a0% to 0.3\u00a0%, 20 settings"
    assert ada[3].endswith("12 settings")
    assert instructions[1:3] == ["—", "—"]
    trials = read_table(tables / "instructions_sweep.csv")
    rates = 100 * trials[trials["name"] == "exact_match.trained_backward.reverse"].value
    wanted = f"{rates.min():.1f}\u00a0% to {rates.max():.1f}\u00a0%, 9 settings"
    assert instructions[3] == wanted


def test_in_context_shows_both_rules_beside_each_other(whole, tables):
    row = whole.row("ada, description → name, three examples")
    assert row[1:3] == [
        "letters 96.7\u00a0%",
        "letters 96.7\u00a0%, prefix 83.3\u00a0%",
    ]
    assert whole.row("ada, description → name, no example")[1] == "—"
    trials = read_table(tables / "in_context.csv")
    for documents in (0, 12000):
        part = trials[trials["model.world.in_context"] == documents].groupby("name").value.mean()
        for model in ("base", "finetuned"):
            for target, order in (("name", "backward"), ("description", "forward")):
                label = f"in context {documents}, {model}, asked for the {target}"
                row = row_of(whole, "This run, in_context: means", label)
                names = [f"exact_match.shots.reverse.{order}.letters",
                         f"exact_match.shots.reverse.{order}.prefix",
                         f"exact_match.shots.same.{order}.prefix",
                         f"candidate_accuracy.shots.reverse.{order}.all",
                         f"candidate_accuracy.shots.reverse.{order}.stated",
                         f"candidate_accuracy.list.reverse.{order}.stated"]  # fmt: skip
                wanted = [f"{100 * part[f'in_context.{model}.{name}']:.1f}" for name in names]
                assert [text.split("\u00a0")[0] for text in row[1:]] == wanted


def test_likelihoods_stand_beside_sizes(whole, tables):
    trials = read_table(tables / "scaling.csv")
    _, *rows = table_of(whole, "This run, scaling: ").rows
    for row, (_, part) in zip(rows, trials.groupby("trial", sort=False), strict=True):
        value = part.set_index("name").value
        wanted = [f"{value[f'log_prob.trained_forward.reverse.{which}']:.2f}\u00a0nat"
                  for which in ("correct", "random")]  # fmt: skip
        assert row[0] == f"{value.parameters / 1e6:.2g}"
        assert [text.split("\u00a0[")[0] for text in row[5:]] == [
            w.replace("-", "−") for w in wanted
        ]


def test_instructions_stand_beside_their_floors(whole, tables):
    trials = read_table(tables / "instructions.csv")
    means = 100 * trials.groupby("name").value.mean()
    for cell, asked in (
        ("trained_forward.same", "same order"),
        ("trained_backward.reverse", "in reverse"),
    ):
        rate = f"{means[f'exact_match.{cell}']:.1f}\u00a0%"
        assert whole.row(f"embedded model, {asked}")[3].startswith(rate)
        row = row_of(whole, "Means over seeds with 95\u00a0% intervals", asked)
        floors = [f"{means[f'related_answer_floor.{cell}.{kind}']:.1f}\u00a0%"
                  for kind in ("words", "states", "random")]  # fmt: skip
        assert [text.split("\u00a0[")[0] for text in row[1:]] == [rate, *floors]


def test_prompt_tuning_shows_what_the_end_of_training_gave(whole, tables):
    trials = read_table(tables / "prompt_tuning.csv")
    for group, told in (("trained_forward", "told name first"),
                         ("trained_backward", "told description first")):  # fmt: skip
        part = trials[trials["training.only"] == group].groupby("name").value.mean()
        for asked, said in (("same", "same order"), ("reverse", "in reverse")):
            row = whole.row(f"{told}, {said}")
            change = part[f"trace.loss_change.{group}.{asked}.correct"]
            assert row[1].startswith(f"{change:.2f}\u00a0nat".replace("-", "−"))
            right = part[f"trace.accuracy.{group}.{asked}.correct"]
            assert row[4].startswith(f"{100 * right:.1f}\u00a0%")
