"""The README's tables, from the committed CSV files: python -m analysis.markdown"""

import math

import pandas as pd

from analysis.descriptions import TABLES
from interp_rc.records.numbers import Estimate

COLUMNS = {
    "name_to_description.same": "name→description, same",
    "name_to_description.reverse": "reverse",
    "description_to_name.same": "description→name, same",
    "description_to_name.reverse": "reverse",
    "both.forward": "both, name→description",
    "both.backward": "description→name",
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
    by_seed = pd.read_csv(TABLES / "descriptions_by_seed.csv")
    over = pd.read_csv(TABLES / "descriptions.csv").set_index("name")
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
    tests = pd.read_csv(TABLES / "descriptions_tests.csv")
    power = pd.read_csv(TABLES / "descriptions_power.csv").set_index(["margins", "asked_for"])
    rows = []
    for _, test in tests.iterrows():
        cell, claim = test["name"].rsplit(".", 1)
        asked = "name" if cell.startswith("name_") else "description"
        strict = "strict_margins" if claim == "nats_strict" else "margins"
        equivalence = claim.startswith("nats")
        rows.append(
            [
                f"{asked} asked in reverse: "
                + ("advantage in nats below the margin" if equivalence else "chosen above chance"),
                f"{test['margin']:.2f} nat" if equivalence else "1/30",
                f"{test['p_adjusted']:.2g}",
                percent(power.loc[(strict, asked), "value"]) + " %" if equivalence else "",
            ]
        )
    return table(
        ["test over ten seeds", "margin or chance", "p (Holm)", "power if no reverse"], rows
    )


def published_table() -> str:
    """The published dataset beside the paper's GPT-3 numbers."""
    found = pd.read_csv(TABLES / "published.csv")
    cells = [cell for cell in COLUMNS if not cell.startswith("both")]
    paper = found.dropna(subset="paper").drop_duplicates("name").set_index("name").paper
    rows = [["GPT-3 350M, the paper", *(percent(paper[f"exact_match.{cell}"]) for cell in cells)]]
    labels = {
        "nowhere": "this model, templates in no corpus (strict)",
        "elsewhere": "this model, templates known about other people",
    }
    for seen, label in labels.items():
        rows_of = found[found.templates_seen == seen].set_index("name")
        texts = (estimate(rows_of.loc[f"exact_match.{cell}"]).text() for cell in cells)
        rows.append([label, *(text.replace(" %", "") for text in texts)])
    return table(["exact match [%]", *(COLUMNS[cell] for cell in cells)], rows)


if __name__ == "__main__":
    print(seeds_table(), tests_table(), published_table(), sep="\n\n")
