"""The README's tables of symmetry in encoders: python -m analysis.markdown_symmetry"""

import math

from analysis.descriptions import TABLES
from analysis.markdown import estimate, table
from analysis.old_names import read_table
from interp_rc.measures.symmetry.forgetting_numbers import PUBLISHED
from interp_rc.measures.symmetry.words import METHODS, NEEDED
from interp_rc.records.numbers import Estimate

MAIN, LEFT_OUT = "main.two_labels.names", "left_out.two_labels.names"
COLUMNS = {
    "as it came": MAIN + ".{}.same.before",
    "retrained": MAIN + ".{}.same.after",
    "… 256 pairs, ten draws": "samples.{}.size_256",
    "other wordings": MAIN + ".{}.held_out.after",
    "another entity: the class's answer": MAIN + ".{}.wrong_entity.after",
    "relations left out, as it came": LEFT_OUT + ".{}.before",
    "… retrained": LEFT_OUT + ".{}.after",
}
SHORTCUTS = {
    "lookup": "look-up of the relation's words",
    "relation_only": "regression on their vector alone",
}
COSTS = {
    "pairs for 95 %": "samples.{}.needed_95",
    "100 %": "samples.{}.needed_100",
    "published": NEEDED,
    "points of entailment lost": "forgetting.{}.sentences.kept.lost",
    "… read together": "forgetting.{}.together.kept.lost",
    "of MNLI, published": PUBLISHED,
}


PUBLISHED_ROWS = {
    "as it came": MAIN + ".{}.same.before",
    "retrained": MAIN + ".{}.same.after",
    "other wordings": MAIN + ".{}.held_out.after",
    "asked with ids": MAIN + ".{}.other_entities.after",
    "another entity: the class's answer": MAIN + ".{}.wrong_entity.after",
    "trained on ids": "main.two_labels.ids.{}.same.after",
}


def results(name: str = "symmetry") -> dict[str, Estimate]:
    rows = read_table(TABLES / f"{name}.csv")
    return {
        str(row["name"]).removeprefix("symmetry."): estimate(row)
        for _, row in rows.iterrows()
        if str(row["name"]).startswith("symmetry.")
    }


def controls_table() -> str:
    """What the methods get, and what a look-up does, in the published form and its controls."""
    return _rates(results(), COLUMNS)


def published_table() -> str:
    """The same about the published data's own sentences."""
    return _rates(results("symmetry_published"), PUBLISHED_ROWS)


def _rates(found: dict[str, Estimate], columns: dict[str, str]) -> str:
    rows = [
        [label, *(_cell(found.get(place.format(variant))) for place in columns.values())]
        for variant, label in (METHODS | SHORTCUTS).items()
    ]
    return table(["right [%]", *columns], rows)


def _cell(one: Estimate | None) -> str:
    return "" if one is None else one.text().replace(" %", "")


def costs_table() -> str:
    """Training pairs needed, and what is forgotten, beside the published numbers."""
    found = results()
    rows = []
    for method, label in METHODS.items():
        cells = []
        for place in COSTS.values():
            if not isinstance(place, str):
                cells.append(f"{place[method]:g}")
            elif "needed" in place:
                cells.append(_needed(found, place.format(method)))
            else:
                cells.append(found[place.format(method)].text(1).replace(" percentage point", ""))
        rows.append([label, *cells])
    return table(["method", *COSTS], rows)


def _needed(found: dict[str, Estimate], place: str) -> str:
    """The median over draws; censored where most draws never got there."""
    median, reached = found[place], found[place.replace("needed", "reached")]
    sizes = [int(name.rpartition("_")[2]) for name in found if ".size_" in name]
    draws = f"{round((reached.value or 0) * reached.n)} of {reached.n}"
    value = f"> {max(sizes)}" if math.isnan(median.value or 0) else f"{median.value:g}"
    return f"{value} ({draws})"


ASKED = {
    "symmetric": ("symmetric: is a sibling of", "reverse"),
    "inverse": ("inverse: led to, caused by", "reverse"),
    "antisymmetric": ("antisymmetric: is a child of", "false_reverse"),
}


def reversal_table() -> str:
    """Causal models, told one way: what they say as told and in reverse, with and without text."""
    rows = read_table(TABLES / "symmetric_reversal.csv").query("quantity == 'level'")
    found = {
        (row["model.world.symmetry"], row["name"]): estimate(row) for _, row in rows.iterrows()
    }
    lines = []
    for amount in sorted({amount for amount, _ in found}):
        for kind, (said, reverse) in ASKED.items():
            names = (f"{kind}.same", f"{kind}.{reverse}", f"{kind}_both.backward")
            cells = (found.get((amount, f"exact_match.{name}")) for name in names)
            lines.append([f"{said}; {amount:,} texts", *map(_cell, cells)])
    header = ["said [%]", "as told", "in reverse", "in reverse, told both ways"]
    return table(header, lines)


if __name__ == "__main__":
    print(controls_table(), published_table(), costs_table(), reversal_table(), sep="\n\n")
