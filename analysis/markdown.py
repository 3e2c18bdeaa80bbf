"""The README's tables, from the committed CSV files: python -m analysis.markdown"""

import math

import pandas as pd

from analysis.descriptions import TABLES, asked_for
from analysis.old_names import read_table
from analysis.paper.sweeps import at_settings, axes
from interp_rc.records.nouns import TOLD_ONLY, TOLD_OTHERWISE
from interp_rc.records.numbers import Estimate

COLUMNS = {
    "trained_forward.same": "name→description, same",
    "trained_forward.reverse": "reverse",
    "trained_backward.same": "description→name, same",
    "trained_backward.reverse": "reverse",
    "both.forward": "both, name→description",
    "both.backward": "description→name",
}

BENCHMARKS = TABLES.parents[1] / "benchmarks" / "tables"
HOW_NAMED = {
    "share": "lines of ten samples",
    "probability": "probability, as released",
    "found": "any of ten samples",
}


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] + ["--:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def percent(value: float) -> str:
    return f"{100 * value:.1f}"


def estimate(row: "pd.Series[float]") -> Estimate:
    low, high = (None if math.isnan(row[end]) else float(row[end]) for end in ("low", "high"))
    return Estimate(float(row["value"]), low, high, int(row["n"]), str(row["unit"]))


def seeds_table() -> str:
    """Exact match of every seed, their mean with its interval, and the choice among candidates."""
    by_seed = read_table(TABLES / "descriptions_by_seed.csv")
    over = read_table(TABLES / "descriptions.csv").set_index("name")
    wide = by_seed.pivot(index="seed", columns="name", values="value")
    rows = [
        [f"seed {seed}", *(percent(values[f"exact_match.{cell}"]) for cell in COLUMNS)]
        for seed, values in wide.iterrows()
    ]
    for label, measure in (
        ("**mean**", "exact_match"),
        ("right of 30 candidates", "candidate_accuracy"),
    ):
        found = (estimate(over.loc[f"{measure}.{cell}"]) for cell in COLUMNS)
        rows.append([label, *(one.text().replace(" %", "") for one in found)])
    return table(["exact match [%]", *COLUMNS.values()], rows)


def tests_table() -> str:
    """The preregistered tests with their margins and the power they had."""
    tests = read_table(TABLES / "descriptions_tests.csv")
    power = read_table(TABLES / "descriptions_power.csv").set_index("asked_for")
    rows = []
    for _, test in tests.iterrows():
        cell, claim = test["name"].rsplit(".", 1)
        asked = asked_for(cell)
        equivalence = claim == "nats"
        rows.append(
            [
                f"{asked} asked in reverse: "
                + ("advantage in nats below the margin" if equivalence else "chosen above chance"),
                f"{test['margin']:.2f} nat" if equivalence else "1/30",
                f"{test['p_adjusted']:.2g}",
                percent(power.loc[asked, "value"]) + " %" if equivalence else "",
            ]
        )
    return table(
        ["test over ten seeds", "margin or chance", "p (Holm)", "power if no reverse"], rows
    )


def published_table() -> str:
    """The published dataset beside the paper's GPT-3 numbers."""
    found = read_table(TABLES / "published.csv")
    cells = [cell for cell in COLUMNS if not cell.startswith("both")]
    paper = found.dropna(subset="paper").drop_duplicates("name").set_index("name").paper
    rows = [["GPT-3 175B, the paper", *(percent(paper[f"exact_match.{cell}"]) for cell in cells)]]
    labels = {
        "nowhere": "this model, templates in no corpus (strict)",
        "elsewhere": "this model, templates known about other people",
    }
    for seen, label in labels.items():
        rows_of = found[found.templates_seen == seen].set_index("name")
        texts = (estimate(rows_of.loc[f"exact_match.{cell}"]).text() for cell in cells)
        rows.append([label, *(text.replace(" %", "") for text in texts)])
    return table(["exact match [%]", *(COLUMNS[cell] for cell in cells)], rows)


def mechanism_table() -> str:
    """What is inside, over ten seeds: where, gradients, one step, probes."""
    over = read_table(TABLES / "mechanism.csv").set_index("name")

    def row(label: str, digits: int, name: str, unit: str = "") -> list[str]:
        """`name` has places for the order and for the group told in it or in the other."""
        cells = []
        for order, told in TOLD_ONLY.items():
            found = estimate(
                over.loc[name.format(order=order, told=told, other=TOLD_OTHERWISE[order])]
            )
            shown = found.text(digits)
            cells.append(shown.replace(f" {found.unit}", "").replace(" %", "") + unit)
        return [label, *cells]

    source, answer = "mlp_out.layer_0.source_all", "resid_post.layer_3.prompt_last"
    rows = [
        row("what separates two facts told that way [nat]", 1, "patching.{order}.{told}.total"),
        row("share restored by the first MLP at the source: told that way", 2,
            f"patching_share.{{order}}.{{told}}.{source}"),
        row("… told in both orders", 2, f"patching_share.{{order}}.both.{source}"),
        row("… told the other way", 2, f"patching_share.{{order}}.{{other}}.{source}"),
        row("share restored by the stream at the prompt's last token", 2,
            f"patching_share.{{order}}.{{told}}.{answer}"),
        row("gradient cosine before learning: reverse order", 3,
            "gradient_cosine.base.{told}.reverse.all"),
        row("… same order, another template", 3, "gradient_cosine.base.{told}.paraphrase.all"),
        row("one training step: same order, another template [nat]", 1,
            "one_step.{told}.told.same.bound"),
        row("… reverse order [nat]", 1, "one_step.{told}.told.reverse.bound"),
        row("… reverse order, after a step on the reverse [nat]", 1,
            "one_step.{told}.other_order.reverse.bound"),
        row("probe where the answer begins: told the other way [%]", 1,
            "probe.finetuned.{order}.{other}.prompt_last.accuracy"),
        row("… told in both orders [%]", 1, "probe.finetuned.{order}.both.prompt_last.accuracy"),
        row("… told in both orders, logit lens [%]", 1,
            "probe.finetuned.{order}.both.prompt_last.lens"),
        row("probe at the source: told in both orders [%]", 1,
            "probe.finetuned.{order}.both.source_last.accuracy"),
    ]  # fmt: skip
    return table(["mean over ten seeds", "name → description", "description → name"], rows)


ASKED = {"forward": "name → description", "backward": "description → name"}
CLAIMS = {
    "where_source": "first MLP at the source restores more than half, {}",
    "where_other_way": "… less than a tenth for facts told the other way, {}",
    "where_answer": "stream at the prompt's last token carries 0.2 more where names are asked for",
    "gradient": "gradient of the reverse within ±0.035 of none, {}",
    "probe.z": "other entity not readable in reverse: z below the margin, {}",
    "probe.accuracy": "… found more often than 1/30, {}",
}


def mechanism_tests_table() -> str:
    """The preregistered tests of the mechanism, with their power where there is an equivalence."""
    tests = read_table(TABLES / "mechanism_tests.csv")
    power = read_table(TABLES / "mechanism_power.csv").set_index("name").value
    rows = []
    for _, test in tests.iterrows():
        claim, _, rest = test["name"].partition(".")
        order, _, what = rest.partition(".")
        asked = ASKED.get(order.removeprefix("trained_"), "")
        had = power.get("gradient" if claim == "gradient" else f"probe.{order}"
                        if what == "z" else claim)  # fmt: skip
        p = test["p_adjusted"]
        rows.append(
            [
                CLAIMS[f"{claim}.{what}" if what else claim].format(asked),
                "" if math.isnan(p) else f"{p:.2g}",
                "" if had is None else f"{100 * had:.0f} %",
            ]
        )
    return table(["test over ten seeds", "p (Holm)", "power if nothing"], rows)


def planted_table() -> str:
    """How often patching finds what was planted."""
    found = read_table(TABLES / "planted.csv")
    rows = []
    for kind, part in found.groupby("kind", sort=False):
        null = int(part.null_sites.sum())
        hits = (part.false_per_null_site * part.null_sites).sum()
        rows.append(
            [
                str(kind).replace("_", " "),
                str(int(part.plantings.sum())),
                percent(float((part["first"] * part.plantings).sum() / part.plantings.sum())),
                f"{hits:.0f} of {null}" if null else "none provable",
            ]
        )
    header = ["planted", "models", "planted place first [%]", "null sites called"]
    return table(header, rows)


SWEEPS = {
    "learning_rates": "learning rate × batch size",
    "scaling": "0.23 to 8.6 M parameters",
    "forty_thousand": "3,600 or 40,000 documents",
    "prompt_tuning": "a soft prompt alone is trained, either order",
    "both_doses": "0 to 60 other facts told in both orders",
    "paraphrases": "1 to 30 wordings of a fact",
    "question_answer": "statements, or questions with answers",
    "one_document": "both orders in one document, or in two",
    "in_context": "pretrained on reversals in context, or not",
    "instructions": "instructions question first, or answer first",
    "instructions_sweep": "the same × learning rate × batch size",
}


def parents_table() -> str:
    """The published answers of Experiment 2: each file's rates of all its rows."""
    rates = read_table(TABLES / "parents.csv").query("counted == 'all'")
    rows = []
    for _, row in rates.iterrows():
        ends = [
            row[["parent", "parent_low", "parent_high"]],
            row[["child", "child_low", "child_high"]],
        ]
        cells = [
            "by construction" if math.isnan(a) else f"{a:.1f} [{b:.1f}, {c:.1f}]"
            for a, b, c in ends
        ]
        about = "" if row.parent_type == "all" else f", {row.parent_type}s"
        name = "GPT-4" if row.kind == "found" else row.model
        rows.append([f"{name}{about}", HOW_NAMED[row.kind], f"{row.pairs:,}", *cells])
    header = ["published answers", "rate of", "pairs", "parent named [%]", "child named [%]"]
    return table(header, rows)


SIDES = {
    "transformer_lens": "TransformerLens' utility",
    "nnsight": "nnsight",
    "loop": "plain loop",
    "batched_loop": "loop over all positions at once",
}


def speed_table() -> str:
    """How many times as long as the engine others take, by vocabulary and number of prompts."""
    speed = read_table(BENCHMARKS / "patching_speed.csv")
    rows = []
    for (vocabulary, pairs), part in speed.groupby(["vocabulary", "pairs"]):
        times = part.set_index("side").times_as_long
        once = ", run once" * bool((part.repeats == 1).all())
        label = f"{vocabulary:,}, {pairs} pair{'s' * (pairs > 1)}{once}"
        rows.append([label, *(f"{times[side]:.1f}" for side in SIDES)])
    return table(["vocabulary, prompts", *SIDES.values()], rows)


def sweeps_table() -> str:
    """Each sweep of ours: its runs, and the lowest and highest exact match of its settings."""
    rows = []
    for name, varied in SWEEPS.items():
        trials = read_table(TABLES / f"{name}.csv")
        cells = []
        for asked in ("same", "reverse"):
            names = (f"exact_match.pooled.{asked}", f"trace.accuracy.pooled.{asked}.correct")
            found = at_settings(trials, names, axes(trials)).values()
            means = [100 * (one.value or 0) for by_name in found for one in by_name.values()]
            cells.append(" to ".join(dict.fromkeys(f"{end(means):.1f}" for end in (min, max))))
        settings = len(trials[axes(trials)].drop_duplicates())
        runs = trials.trial.nunique()
        rows.append([f"`{name}`", varied, f"{settings} × {runs // settings}", *cells])
    header = ["experiment", "what varies", "settings × seeds", "same order [%]", "in reverse [%]"]
    return table(header, rows)


if __name__ == "__main__":
    print(
        seeds_table(),
        tests_table(),
        published_table(),
        mechanism_table(),
        mechanism_tests_table(),
        planted_table(),
        sweeps_table(),
        sep="\n\n",
    )
